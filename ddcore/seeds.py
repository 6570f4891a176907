"""Randomness: a stream is named by a path, so that asking for one never shifts another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["generator", "stream", "torch_seeded"]


def stream(*path: object) -> random.Random:
    """`stream(seed, "order", epoch)`: the same path gives the same numbers, in every process."""
    return random.Random(":".join(map(str, path)))


def generator(rng: random.Random) -> torch.Generator:
    """A CPU generator that takes its seed from `rng`."""
    return torch.Generator().manual_seed(rng.getrandbits(63))


@contextmanager
def torch_seeded(*path: object) -> Iterator[None]:
    """Torch's global generators (dropout, initialisation) seeded from a path and put back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(stream(*path).getrandbits(63))
        yield
