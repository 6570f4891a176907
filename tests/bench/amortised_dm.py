"""Amortised DM beside 1,000 iterations of the official DM: seconds, and accuracy of fresh networks on the test split.

usage: python tests/bench/amortised_dm.py --peer CHECKOUT [--rounds 5] [--seed 0] [--ipc 10] [--steps 1000] [--renew 10]

Settings are chosen on the validation split: --iterations 0 --split val, at each of the settings to choose among. Times alone, of
fewer updates and iterations (all cost the same): --steps 500 --iterations 50 --networks 0.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import torch
from ddcore_image.augment import DSA
from fashion import fashion
from peer import Peer
from torch import Tensor

from ddcore.evaluation import score, train
from ddcore.loop import optimise
from ddcore.objectives.distribution import PooledDistributionMatching
from ddcore.parametrizations.base import Selected
from ddcore.problem import Problem
from ddcore.rows import Rows, RowSynthetic
from ddcore.seeds import stream


def ours(
    problem: Problem[Rows], ipc: int, objective: PooledDistributionMatching, steps: int, seed: int
) -> tuple[float, Tensor]:
    """Seconds of a whole run, and its images."""
    began, counts = time.perf_counter(), dict.fromkeys(problem.data.groups, ipc)
    start = Selected.random(problem.data, counts, stream("bench", seed)).batch()
    synthetic = problem.synthetic(counts, start, stream("bench")).to(problem.device)
    optimise(
        problem, synthetic, objective, steps=steps, seed=seed, optimiser=partial(torch.optim.SGD, lr=1.0, momentum=0.5)
    )
    return time.perf_counter() - began, synthetic.batch().x.detach()


def accuracies(problem: Problem[Rows], x: Tensor, ipc: int, networks: int, seed: int, split: str) -> list[float]:
    """Of fresh networks trained on the images by the problem's protocol."""
    synthetic = RowSynthetic(dict.fromkeys(problem.data.groups, ipc), x.to(problem.device))
    nets = (train(problem, synthetic, problem.recipe, 1000 * seed + s) for s in range(networks))
    return [100 * score(problem, net, split)["accuracy"] for net in nets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of VICO-UoE/DatasetCondensation")
    parser.add_argument("--iterations", type=int, default=1000, help="of the official code")
    for name, default in {
        "rounds": 5,
        "seed": 0,
        "ipc": 10,
        "steps": 1000,
        "pool": 20,
        "renew": 10,
        "n_real": 256,
        "networks": 3,
        "width": 32,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--split", choices=("val", "test"), default="test", help="whose accuracy is printed")
    given = parser.parse_known_args()[0]
    if given.peer is None:
        print("skipped: --peer CHECKOUT of VICO-UoE/DatasetCondensation is not given")
        return
    problem = fashion(width=given.width).to("cuda" if torch.cuda.is_available() else "cpu")
    real, peer = problem.data.take(problem.data.ids()), Peer(given.peer)
    assert real.y is not None
    objective = PooledDistributionMatching(given.n_real, "match", pool=given.pool, renew=given.renew)
    print(
        f"torch {torch.__version__}, {problem.device}, {torch.get_num_threads()} threads; {vars(given)}; {problem.recipe.name}"
    )
    ratios: list[float] = []
    found: dict[str, list[list[float]]] = {"ours": [], "official": []}
    for seed in range(given.seed, given.seed + given.rounds):
        mine, x = ours(problem, given.ipc, objective, given.steps, seed)
        print(f"ours      {mine:7.1f} s", flush=True)
        if given.networks:
            found["ours"].append(accuracies(problem, x, given.ipc, given.networks, seed, given.split))
            print(f"ours      {statistics.fmean(found['ours'][-1]):7.2f} %", flush=True)
        if not given.iterations:
            continue
        began = time.perf_counter()
        x = peer.run(
            "main_DM", real.x.cpu(), real.y.cpu(), ipc=given.ipc, iterations=given.iterations - 1, width=given.width,
            arguments={"--dsa_strategy": DSA}, seed=seed,
        ).x  # fmt: skip
        theirs = time.perf_counter() - began
        ratios.append(mine / given.steps / (theirs / given.iterations))
        print(f"official  {theirs:7.1f} s", flush=True)
        if given.networks:
            found["official"].append(accuracies(problem, x, given.ipc, given.networks, seed, given.split))
            print(f"official  {statistics.fmean(found['official'][-1]):7.2f} %", flush=True)
    for side, runs in found.items():
        if runs:
            means = [statistics.fmean(run) for run in runs]
            spread = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else float("nan")
            print(
                f"{side:9s} {statistics.fmean(means):.2f} ± {spread:.2f} % (standard error over {len(means)} distillations)"
            )
    if ratios:
        print(
            f"an update, ours / official: median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
