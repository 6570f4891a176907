"""What `ddcore estimate` says, divided by what `ddcore distill` then takes: time, peak memory, disk; a fresh process each.

usage: python tests/bench/estimates.py [--runs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def estimated(words: list[str]) -> dict[str, float]:
    """What the command says."""
    command = [sys.executable, "-m", "ddcore", "estimate", *words, "--json"]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def real(words: list[str]) -> dict[str, float]:
    """What the run took: its own clock, the system's account of the process, the files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        command = [sys.executable, "-m", "ddcore", "distill", *words, "--out", str(out)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"failed: {' '.join(command)}")
        cost = json.loads((out / "cost.json").read_text())
        return {
            "seconds": cost["seconds"],
            "memory_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "disk_bytes": sum(f.stat().st_size for f in out.iterdir()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_known_args()[0].runs
    for method in ("dm", "dc"):
        for ipc in (1, 10):
            words = ["image/digits", "--method", method, "--ipc", str(ipc)]
            pairs = [(estimated(words), real(words)) for _ in range(runs)]
            for what in ("seconds", "memory_bytes", "disk_bytes"):
                ratios = [a[what] / b[what] for a, b in pairs]
                took = statistics.median(b[what] for _, b in pairs)
                print(
                    f"{method} ipc {ipc:2d} {what:12s} estimated / real: median {statistics.median(ratios):.2f} "
                    f"({min(ratios):.2f} to {max(ratios):.2f}); real {took:,.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
