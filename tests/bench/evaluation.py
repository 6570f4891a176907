"""Seconds of `ddcore evaluate`, five seeds at ten images a class of the digits, and their ratio to the distillation: whole
processes, in turn, with a cache that holds no score of all rows yet ("cold") and with the one that this left ("warm").

usage: python tests/bench/evaluation.py [--runs 3] [--jobs 1 2]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(*words: str, cache: Path) -> float:
    """Of one whole command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "ddcore", *words]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "DDCORE_CACHE": str(cache)})
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_known_args()[0]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "digits-dm-10"
        words = ["image/digits", "--method", "dm", "--ipc", "10"]
        distilled = seconds("distill", *words, "--out", str(made), cache=Path(folder) / "none")
        print(f"distillation, dm, quick     {distilled:6.1f} s", flush=True)
        for jobs in asked.jobs:
            found: dict[str, list[float]] = {"cold": [], "warm": []}
            for run in range(asked.runs):
                for laps in found.values():
                    cache = Path(folder) / f"cache-{jobs}-{run}"
                    laps.append(seconds("evaluate", str(made), "--seeds", "5", "--jobs", str(jobs), cache=cache))
            for state, laps in found.items():
                took = statistics.median(laps)
                print(
                    f"evaluation, {state}, {jobs} at a time median {took:6.1f} s ({min(laps):.1f} to {max(laps):.1f}), "
                    f"{took / distilled:.2f} of the distillation",
                    flush=True,
                )
        scores = json.loads((made / "scores.json").read_text())
        networks = sum(len(scores[kind][0]["values"]) for kind in ("scores", "baselines", "ceilings") if scores[kind])
        print(f"{networks} networks under {scores['protocol']}")


if __name__ == "__main__":
    main()
