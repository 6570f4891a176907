"""Amortised DM beside 1,000 iterations of the official DM: seconds, and accuracy of fresh networks on the test split.

usage: python tests/bench/amortised_dm.py --peer CHECKOUT [--rounds 5] [--seed 0] [--ipc 10] [--steps 1000] [--renew 2]

Seconds are the processor's, which other work on the machine disturbs less, and by the clock.

Settings are chosen on the validation split: --iterations 0 --split val, at each of the settings to choose among. Times alone, of
fewer updates and iterations (all cost the same): --steps 500 --iterations 50 --networks 0.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from ddcore_image.augment import DSA
from fashion import fashion
from peer import Peer
from torch import Tensor

import ddcore
from ddcore.evaluation import score, train
from ddcore.problem import Problem
from ddcore.rows import Rows, RowSynthetic


class Lap:
    """Seconds since it was made: of the processor, and by the clock."""

    def __init__(self) -> None:
        self.processor, self.clock = time.process_time(), time.perf_counter()

    def seconds(self) -> tuple[float, float]:
        return time.process_time() - self.processor, time.perf_counter() - self.clock


def ours(problem: Problem[Rows], given: argparse.Namespace, seed: int) -> tuple[tuple[float, float], Tensor]:
    """Seconds of a whole run, and its images."""
    options = {name: getattr(given, name) for name in ("steps", "lr", "start", "n_real", "pool", "renew")}
    lap = Lap()
    made = ddcore.distill(problem, "dm", ipc=given.ipc, options={**options, "augment": "match"}, seed=seed)
    return lap.seconds(), made.tensors["x"]


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
        "renew": 2,
        "n_real": 64,
        "networks": 3,
        "width": 32,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--lr", type=float, default=3.0)
    parser.add_argument("--start", choices=("real", "k-means"), default="k-means")
    parser.add_argument("--split", choices=("val", "test"), default="test", help="whose accuracy is printed")
    given = parser.parse_known_args()[0]
    if given.peer is None:
        print("skipped: --peer CHECKOUT of VICO-UoE/DatasetCondensation is not given")
        return
    problem = fashion(width=given.width).to("cuda" if torch.cuda.is_available() else "cpu")
    real, peer = problem.data.take(problem.data.ids()), Peer(given.peer)
    assert real.y is not None
    print(
        f"torch {torch.__version__}, {problem.device}, {torch.get_num_threads()} threads; {vars(given)}; {problem.recipe.name}"
    )
    ratios: list[tuple[float, float]] = []
    found: dict[str, list[list[float]]] = {"ours": [], "official": []}

    def tell(side: str, seconds: tuple[float, float], x: Tensor, seed: int) -> None:
        print(f"{side:9s} {seconds[0]:7.1f} s, by the clock {seconds[1]:7.1f} s", flush=True)
        if given.networks:
            found[side].append(accuracies(problem, x, given.ipc, given.networks, seed, given.split))
            print(f"{side:9s} {statistics.fmean(found[side][-1]):7.2f} %", flush=True)

    for seed in range(given.seed, given.seed + given.rounds):
        mine, x = ours(problem, given, seed)
        tell("ours", mine, x, seed)
        if not given.iterations:
            continue
        lap = Lap()
        x = peer.run(
            "main_DM", real.x.cpu(), real.y.cpu(), ipc=given.ipc, iterations=given.iterations - 1, width=given.width,
            arguments={"--dsa_strategy": DSA}, seed=seed,
        ).x  # fmt: skip
        theirs = lap.seconds()
        ratios.append((mine[0] / theirs[0], mine[1] / theirs[1]))
        tell("official", theirs, x, seed)
    for side, runs in found.items():
        if runs:
            means = [statistics.fmean(run) for run in runs]
            spread = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else float("nan")
            print(
                f"{side:9s} {statistics.fmean(means):.2f} ± {spread:.2f} % (standard error over {len(means)} distillations)"
            )
    for by, laps in zip(("processor", "clock"), zip(*ratios, strict=True), strict=False):
        part = [lap * given.iterations / given.steps for lap in laps]
        median = statistics.median(part)
        print(f"an update, ours / official, by the {by}: median {median:.3f} ({min(part):.3f} to {max(part):.3f})")


if __name__ == "__main__":
    main()
