"""Peak memory and seconds of one update of trajectory matching against the number of inner steps, each in a process of its own.

usage: python tests/bench/memory.py [--ipc 1] [--steps 5 10 20 50 100 200] [--ways graph checkpoint replay tesla]
       [--draw FILE.svg]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

import ddcore
from ddcore.experts import Trajectory
from ddcore.loop import optimise
from ddcore.objectives.trajectory import Tesla, TrajectoryMatching, Window
from ddcore.parametrizations.base import Selected
from ddcore.seeds import stream

WAYS = ("graph", "checkpoint", "replay", "tesla")


def measure(way: str, steps: int, ipc: int) -> dict[str, float]:
    """Bytes above what the process held before the update, and its seconds."""
    torch.set_num_threads(1)
    problem = ddcore.load("image/digits")
    counts = dict.fromkeys(problem.data.groups, ipc)
    start = Selected.random(problem.data, counts, stream("bench")).batch()
    synthetic = problem.synthetic(counts, start, stream("bench")).learn_step_size()
    net = problem.new_model(stream("expert"))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    noise = torch.Generator().manual_seed(0)
    after = {name: p + 0.01 * torch.randn(p.shape, generator=noise) for name, p in before.items()}
    window = Window([Trajectory(next(iter(problem.models)), 0, 1, [before, after])], last=1, span=1)

    def update(n: int) -> None:
        objective = Tesla(window, n) if way == "tesla" else TrajectoryMatching(window, n, memory=way)  # type: ignore[arg-type]
        optimise(problem, synthetic, objective, steps=1, optimiser=partial(torch.optim.SGD, lr=1e-3))

    update(2)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    held, began = _status("VmRSS"), time.perf_counter()
    update(steps)
    seconds = time.perf_counter() - began
    theta = sum(x.numel() * x.element_size() for x in before.values())
    return {"bytes": _status("VmHWM") - held, "seconds": seconds, "theta": theta}


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def draw(mebibytes: Mapping[str, Sequence[float]], steps: Sequence[int], file: Path) -> None:
    """A line for each way, on two logarithmic axes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "ddcore"}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for (way, values), marker in zip(mebibytes.items(), "os^D", strict=False):
            axes.loglog(steps, values, marker=marker, linewidth=1.6, markersize=5)
            axes.annotate(way, (steps[-1], values[-1]), xytext=(8, -3), textcoords="offset points")
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
        axes.set_xlabel("inner steps")
        axes.set_title("Peak memory of an update, MiB", loc="left", fontsize=10)
        axes.grid(color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(right=2.2 * steps[-1])
        figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 50, 100, 200])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--draw", type=Path, metavar="FILE.svg")
    given = parser.parse_known_args()[0]
    if sys.platform != "linux":
        print("skipped: the peak is read from Linux's /proc")
        return
    print(f"image/digits, ipc {given.ipc}, one thread: peak MiB above what was held before, and seconds of an update\n")
    print("| inner steps | " + " | ".join(given.ways) + " |\n|---|" + "---|" * len(given.ways))
    mebibytes: dict[str, list[float]] = {way: [] for way in given.ways}
    for steps in given.steps:
        cells = []
        for way in given.ways:
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as process:
                found = process.submit(measure, way, steps, given.ipc).result()
            mebibytes[way].append(found["bytes"] / 2**20)
            cells.append(f"{mebibytes[way][-1]:.1f} MiB, {found['seconds']:.2f} s")
        print(f"| {steps} | " + " | ".join(cells) + " |", flush=True)
    if given.draw is not None:
        draw(mebibytes, given.steps, given.draw)


if __name__ == "__main__":
    main()
