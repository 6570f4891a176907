"""Fair scores: what a set gives apart from its labels and the augmentation it is trained with (DD-Ranking, Li et al. 2025).

All are computed from fractions: a metric's value is first placed between the ends of its range, so that 0 is the worst it can
be and 1 the best. (The authors' code, version 0.2.0, puts percentages into exp.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import Any, TypeVar

from .errors import NotSupported
from .parametrizations.base import Synthetic
from .problem import Metric, Problem
from .recipes import Recipe
from .report import Fair, Score

__all__ = ["Hardened", "bounded", "fraction", "judge_all", "normalised", "trainings"]
B = TypeVar("B")
Run = tuple[str, str, int]  # model, what is trained, seed


def bounded(metric: Metric) -> bool:
    """Whether the metric's range has two ends."""
    return math.isfinite(metric.low) and math.isfinite(metric.high)


def fraction(metric: Metric, value: float) -> float:
    """Where a value stands in the metric's range: 0 at the worst end, 1 at the best. NotSupported where the range has no end."""
    if not bounded(metric):
        raise NotSupported(
            f"{metric.name} has no bounded range: fair scores are defined for metrics between two numbers"
        )
    part = (value - metric.low) / (metric.high - metric.low)
    return part if metric.higher_is_better else 1 - part


def normalised(alpha: float) -> float:
    """A balance in [-1, 1] on a scale from 0 to 1: (e^alpha - e^-1) / (e - e^-1), which is 0.269 at a balance of 0."""
    return (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))


class Hardened(Synthetic[B]):
    """Another set with hard labels: each row's likeliest class; the training it may prescribe is left to the protocol."""

    def __init__(self, whole: Synthetic[B], problem: Problem[B]) -> None:
        super().__init__(whole.counts)
        self.whole, self.task = whole, problem.task

    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        return self.task.harden(self.whole.take(ids, rng))


def trainings(
    problem: Problem[Any],
    sets: Mapping[str, Sequence[Synthetic[Any]]],  # "scores", "baselines": one a seed
    recipes: Mapping[str, Recipe],
    model: str,
    split: str,
) -> dict[Run, tuple[Any, ...]]:
    """What is trained beside the set and the random rows: both with the augmentation switched, where the problem has one to
    train with, and the set with hard labels, where it has others. NotSupported where no metric could be judged by them."""
    if not any(map(bounded, problem.task.metrics)):
        names = ", ".join(metric.name for metric in problem.task.metrics)
        raise NotSupported(f"fair scores are of metrics whose range has two ends, and {problem.name} has {names}")
    runs: dict[Run, tuple[Any, ...]] = {}
    synthetic = sets["scores"][0]
    if "train" in problem.augmentations and synthetic.train_steps is None:
        for kind, recipe in recipes.items():
            switched = replace(recipe, augment=None if recipe.augment else "train")
            for s, one in enumerate(sets[kind]):
                runs[model, f"switched {kind}", s] = (problem, one, switched, s, model, split)
    if _softened(synthetic):
        with suppress(NotSupported):
            hard = Hardened(synthetic, problem)
            hard.take([0])
            for s in range(len(sets["scores"])):
                runs[model, "hard", s] = (problem, hard, recipes["scores"], s, model, split)
    return runs


def judge_all(
    problem: Problem[Any],
    synthetic: Synthetic[Any],
    found: Mapping[Run, Mapping[str, float]],
    ceilings: Sequence[Score],
    models: Sequence[str],
) -> tuple[Fair, ...]:
    """The fair scores of each model by each of the task's metrics whose range has two ends, from what the trainings found."""
    metrics = [metric for metric in problem.task.metrics if bounded(metric)]
    return tuple(_judge(problem, synthetic, found, ceilings, model, metric) for model in models for metric in metrics)


def _judge(
    problem: Problem[Any],
    synthetic: Synthetic[Any],
    found: Mapping[Run, Mapping[str, float]],
    ceilings: Sequence[Score],
    model: str,
    metric: Metric,
) -> Fair:
    def mean(kind: str) -> float | None:
        values = [fraction(metric, v[metric.name]) for (m, k, _), v in found.items() if (m, k) == (model, kind)]
        return fmean(values) if values else None

    own, random, switched, switched_random = map(mean, ("scores", "baselines", "switched scores", "switched baselines"))
    assert own is not None
    assert random is not None
    hard = mean("hard") if _softened(synthetic) else own
    ceiling = next((s for s in ceilings if (s.model, s.metric) == (model, metric.name)), None)
    ior, hlr, ars = own - random, None, None
    if hard is not None and ceiling is not None:
        hlr = fraction(metric, ceiling.mean) - hard
    if switched is not None and switched_random is not None:
        ars = normalised((ior + switched - switched_random) / 2)
    return Fair(model, metric.name, ior, hlr, None if hlr is None else normalised((ior - hlr) / 2), ars)


def _softened(synthetic: Synthetic[Any]) -> bool:
    """Whether the set brings more than rows with hard labels."""
    return synthetic.label_kind != "ids" or synthetic.train_steps is not None
