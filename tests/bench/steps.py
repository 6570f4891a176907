"""Seconds of one iteration, ours / the official code's: the same rows, network, batch sizes and threads, in one process.

usage: python tests/bench/steps.py --peer CHECKOUT [--width 32] [--rounds 5] [--only CASE] [--equal]

With --equal no time is taken: DC's loss and its gradient with respect to the images, in float64, of the same network, images and
128 real rows a class; how far the two are apart, relative to the official ones.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from ddcore_image.augment import DSA
from fashion import fashion
from peer import Peer

from ddcore.loop import Objective, Run, optimise
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.gradient import GradientMatching
from ddcore.objectives.networks import TrainedOnSet
from ddcore.parametrizations.base import Selected
from ddcore.problem import Problem
from ddcore.rows import RowData
from ddcore.seeds import stream

Case = tuple[str, str, int, int, dict[str, Any], Objective, int, float]


def ours(
    problem: Problem[Any], objective: Objective, ipc: int, iterations: int, updates: int, lr: float
) -> list[float]:
    """Seconds of each iteration (of `updates` updates) but the first."""
    counts = dict.fromkeys(problem.data.groups, ipc)
    start = Selected.random(problem.data, counts, stream("bench")).batch()
    synthetic, stamps = problem.synthetic(counts, start, stream("bench")).to(problem.device), []

    def stamp(run: Run) -> None:
        if run.step % updates == 0:
            stamps.append(time.perf_counter())

    sgd = partial(torch.optim.SGD, lr=lr, momentum=0.5)
    optimise(problem, synthetic, objective, steps=(iterations + 1) * updates, optimiser=sgd, callbacks=(stamp,))
    return [b - a for a, b in zip(stamps, stamps[1:], strict=False)]


def apart(problem: Problem[Any], peer: Peer, width: int) -> tuple[float, float]:
    """Of DC's loss and of its gradient with respect to the images, one a class: |ours - official| / |official|."""
    torch.set_default_dtype(torch.float64)
    ids = {g: problem.data.ids(g)[:128] for g in problem.data.groups}
    real = problem.data.take([i for g in ids.values() for i in g])
    assert real.y is not None
    data, lr = RowData(real.x.double(), real.y, {"train": range(len(real.y))}), 1e6  # so large that x falls off
    net = problem.new_model(stream("bench")).double()
    problem = replace(problem, data=data, models={"the same": lambda: copy.deepcopy(net)})
    start = data.take([data.ids(g)[0] for g in data.groups])
    synthetic = problem.synthetic(dict.fromkeys(data.groups, 1), start, stream("bench"))
    losses: list[float] = []
    optimise(
        problem, synthetic, GradientMatching(128), steps=1, optimiser=partial(torch.optim.SGD, lr=lr),
        callbacks=[lambda run: losses.append(run.history[-1]["loss"])],
    )  # fmt: skip
    with mock.patch.object(np.random, "permutation", np.asarray):  # it starts from the first row of each class, as ours
        ran = peer.run("main", data.x, data.y, ipc=1, iterations=0, width=width, theta=list(net.parameters()),
                       arguments={"--method": "DC", "--init": "real", "--lr_img": lr, "--batch_real": 128})  # fmt: skip
    mine, official = ((start.x - x) / lr for x in (synthetic.batch().x.detach(), ran.x))
    return abs(losses[0] / sum(ran.losses) - 1), ((mine - official).norm() / official.norm()).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of VICO-UoE/DatasetCondensation")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="the cases whose name holds this: 'dc ipc 10'")
    parser.add_argument("--equal", action="store_true", help="compare loss and gradient, not time")
    given = parser.parse_known_args()[0]
    if given.peer is None:
        print("skipped: --peer CHECKOUT of VICO-UoE/DatasetCondensation is not given")
        return
    peer, problem = Peer(given.peer), fashion(width=given.width)
    if given.equal:
        loss, gradient = apart(problem, peer, given.width)
        print(f"torch {torch.__version__}, width {given.width}: loss apart {loss:.1e}, gradient apart {gradient:.1e}")
        return
    problem = problem.to("cuda" if torch.cuda.is_available() else "cpu")
    x, y = problem.data.take(problem.data.ids()).x, problem.data.take(problem.data.ids()).y
    dm = DistributionMatching(256, "match", one_by_one=problem.device.type == "cpu")
    cases: list[Case] = [
        ("dm ipc 1", "main_DM", 1, 5, {"--dsa_strategy": DSA}, dm, 1, 1.0),
        ("dm ipc 10", "main_DM", 10, 5, {"--dsa_strategy": DSA}, dm, 1, 1.0),
        ("dc ipc 1", "main", 1, 4, {"--method": "DC"}, GradientMatching(), 1, 0.1),
        ("dsa ipc 1", "main", 1, 4, {"--method": "DSA", "--dsa_strategy": DSA},
         GradientMatching(augment="match", networks=TrainedOnSet(augment="train")), 1, 0.1),
        ("dc ipc 10", "main", 10, 1, {"--method": "DC"}, GradientMatching(networks=TrainedOnSet(outer=10, epochs=50)), 10, 0.1),
    ]  # fmt: skip
    print(f"torch {torch.__version__}, {problem.device}, {torch.get_num_threads()} threads; width {given.width}")
    for name, main_, ipc, n, arguments, objective, updates, lr in (c for c in cases if given.only in c[0]):
        ratios, a, b = [], [], []
        for seed in range(given.rounds):
            a.append(statistics.median(ours(problem, objective, ipc, n, updates, lr)))
            ran = peer.run(
                main_, x.cpu(), y.cpu(), ipc=ipc, iterations=n, arguments=arguments, width=given.width, seed=seed
            )
            b.append(statistics.median(ran.seconds))
            ratios.append(a[-1] / b[-1])
        print(
            f"{name:10s} ours / official: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
            f"{statistics.median(a):.3f} s / {statistics.median(b):.3f} s an iteration",
            flush=True,
        )


if __name__ == "__main__":
    main()
