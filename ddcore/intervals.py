"""Intervals: how far a mean may be off, and whether two means differ. Student's t, as samples are small."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

__all__ = ["Difference", "Mean", "paired", "unpaired"]

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """The mean of independent values: networks of one set, or the means of several distillations."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, draws: Sequence[Sequence[float]]) -> Mean:  # distillations x networks
        """Over distillations where there are several: networks of one set do not tell how sets differ. Else over networks."""
        return cls(tuple(map(statistics.fmean, draws)) if len(draws) > 1 else tuple(draws[0]))

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.values)

    @property
    def stderr(self) -> float | None:
        """The standard error of the mean; None for a single value."""
        n = len(self.values)
        return statistics.stdev(self.values) / n**0.5 if n > 1 else None

    def interval(self, level: float = LEVEL) -> tuple[float, float] | None:
        """The interval that holds the mean of the population at that level, were the values normal; None for a single value."""
        return None if self.stderr is None else _around(self.mean, self.stderr, len(self.values) - 1, level)


@dataclass(frozen=True)
class Difference:
    """What one mean is ahead of another, with its 95 % interval."""

    mean: float
    interval: tuple[float, float] | None  # None where the values are too few to tell

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} (95 %: {self.interval[0]:+.4f} to {self.interval[1]:+.4f})"

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def paired(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Difference:
    """a - b, value by value: the same seed gave both, so what the seed does to both cancels. ValueError where they are not
    equally many."""
    differences = Mean(tuple(x - y for x, y in zip(a, b, strict=True)))
    return Difference(differences.mean, differences.interval(level))


def unpaired(a: Mean, b: Mean, level: float = LEVEL) -> Difference:
    """a - b of independent values (Welch 1947). A single value has no spread of its own: it is taken for one of the other's kind
    (Student's test, which is then Crawford and Howell's, 1998). Two single values do not tell."""
    mean = a.mean - b.mean
    if a.stderr is None or b.stderr is None:
        several = a if b.stderr is None else b
        if several.stderr is None:
            return Difference(mean, None)
        n = len(several.values)
        return Difference(mean, _around(mean, several.stderr * (n + 1) ** 0.5, n - 1, level))
    s, t = a.stderr**2, b.stderr**2
    if s + t == 0:
        return Difference(mean, (mean, mean))
    freedom = (s + t) ** 2 / (s**2 / (len(a.values) - 1) + t**2 / (len(b.values) - 1))
    return Difference(mean, _around(mean, (s + t) ** 0.5, freedom, level))


def _around(mean: float, stderr: float, freedom: float, level: float) -> tuple[float, float]:
    half = stderr * quantile(0.5 + level / 2, freedom)
    return mean - half, mean + half


@cache
def quantile(p: float, freedom: float) -> float:
    """Below what Student's t lies with probability p >= 1/2."""
    low, high = 0.0, 1.0
    while _cdf(high, freedom) < p:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def _cdf(t: float, freedom: float, pieces: int = 400) -> float:
    """P(T <= t), t >= 0: Simpson's rule in the angle, tan = t / sqrt(freedom), where the density is a power of the cosine."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    width = math.atan(t / math.sqrt(freedom)) / pieces
    powers: list[float] = [math.cos(i * width) ** (freedom - 1) for i in range(pieces + 1)]
    total = powers[0] + powers[-1] + 4 * sum(powers[1:-1:2]) + 2 * sum(powers[2:-1:2])
    return 0.5 + scale * total * width / 3
