"""Seconds and peak memory on generated sparse histories: each sampler (of those with a proxy, one epoch) and an update of
Distill-CF, each in a process of its own, and what the closed form on all users answers. An update goes through all users in
batches; `--read` says how many it goes through here, and its memory does not depend on that.

usage: python tests/bench/recommender.py [--users 100000] [--items 50000] [--each 26] [--fake 100] [--read 4096] [--most-gib 8]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

import ddcore
from ddcore.errors import NotSupported
from ddcore.evaluation import train
from ddcore.parametrizations.base import RealRows
from ddcore.problem import Problem

HELD_OUT = 500
"""Users who hold an interaction out in val, and as many in test."""


def generated(users: int, items: int, each: int) -> Problem[Any]:
    """Histories of about `each` items, popular ones more often (Zipf's law)."""
    from ddcore_recommender.problems import ranking_problem
    from ddcore_recommender.table import Table, distinct

    g = np.random.default_rng(0)
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    user = np.repeat(np.arange(users), each)
    item = g.choice(items, size=len(user), p=popularity / popularity.sum())
    split = np.zeros(len(user), np.int64)
    split[: HELD_OUT * each : each] = 1
    split[HELD_OUT * each : 2 * HELD_OUT * each : each] = 2
    user_ids, item_ids = (np.char.mod("%d", np.arange(n)) for n in (users, items))
    table = Table(user, item, np.ones(len(user)), user_ids, item_ids, time=np.arange(len(user)), split=split)
    return replace(ranking_problem(distinct(table), drawn=False), render=None)


def apart(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the work in a process of its own, and the most GiB that this one held, the data among them."""

    def measure() -> None:
        torch.set_num_threads(1)
        began = time.perf_counter()
        work()
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        send.send((time.perf_counter() - began, peak / 2**20))

    context = get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=measure)
    process.start()
    send.close()
    found: tuple[float, float] = receive.recv()
    process.join()
    return found


def one_update(problem: Problem[Any], fake: int, read: int) -> None:
    """Of Distill-CF, with the choice of the ridge before it."""
    data: Any = problem.data
    data.splits["train"] = data.splits["train"][:read]
    ddcore.distill(problem, "recommender/distill-cf", ipc=fake, options={"steps": 1, "draws": 1})


def one_epoch(problem: Problem[Any], method: str, fake: int) -> None:
    """Of the proxy of SVP-CF, and what it keeps."""
    ddcore.distill(problem, f"recommender/{method}", ipc=fake, options={"epochs": 1})


def ceiling(problem: Problem[Any]) -> str:
    """What the closed form says to all users."""
    try:
        train(problem, RealRows.all(problem.data), problem.recipe, 0, "infinite-ae")
    except NotSupported as error:
        return str(error)
    return "it fits into this machine's memory"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("users", 100_000), ("items", 50_000), ("each", 26), ("fake", 100), ("read", 4096)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--most-gib", type=float, default=8.0)
    given = parser.parse_known_args()[0]
    if sys.platform != "linux":
        print("skipped: the peak is read from Linux's /proc")
        return
    from ddcore_recommender.sampling import SAMPLERS

    problem = generated(given.users, given.items, given.each)
    data: Any = problem.data
    print(f"{given.users:,} users, {given.items:,} items, {data.train.nnz:,} interactions; {given.fake} fake users\n")
    print("| | seconds | peak GiB |\n|---|---|---|")
    works: dict[str, Callable[[], object]] = {
        name: partial(sample, data, given.fake, Random(0)) for name, sample in SAMPLERS.items()
    }
    for method in ("svp-cf", "svp-cf-prop"):
        works[f"{method}, one epoch"] = partial(one_epoch, problem, method, given.fake)
    works["distill-cf, one update"] = partial(one_update, problem, given.fake, given.read)
    peaks = []
    for name, work in works.items():
        seconds, peak = apart(work)
        peaks.append(peak)
        print(f"| {name} | {seconds:.1f} | {peak:.2f} |", flush=True)
    print(f"\nall users: {ceiling(problem)}")
    if max(peaks) > given.most_gib:
        sys.exit(f"more than {given.most_gib:g} GiB")


if __name__ == "__main__":
    main()
