"""Milliseconds until `ddcore plugins` has answered, beside an empty Python: whole processes, in turn.

usage: python tests/bench/startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def milliseconds(*command: str) -> float:
    """Of one whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_known_args()[0].runs
    commands = {"ddcore plugins": ("-m", "ddcore", "plugins"), "empty python": ("-c", "")}
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, words in commands.items():
            found[name].append(milliseconds(sys.executable, *words))
    medians = {name: statistics.median(laps[1:]) for name, laps in found.items()}  # the first run fills caches
    for name, laps in found.items():
        print(f"{name:15s} median {medians[name]:6.1f} ms ({min(laps[1:]):.1f} to {max(laps[1:]):.1f})")
    print(f"ratio           {medians['ddcore plugins'] / medians['empty python']:.1f}")


if __name__ == "__main__":
    main()
