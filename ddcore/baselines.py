"""Baselines: real rows of the same budget, which stand beside every score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import PluginLoadError, UnknownName, choices
from .parametrizations.base import Selected, Synthetic
from .plugins import installed
from .problem import Problem
from .seeds import stream

if TYPE_CHECKING:
    from .methods.base import Method

__all__ = ["Taught", "random_rows", "selected_rows", "selections"]
B = TypeVar("B")


class Taught(Synthetic[B]):
    """Rows whose views are labelled by the teacher of another set, as that one's are."""

    label_kind = "teacher"

    def __init__(self, rows: Synthetic[B], other: Synthetic[B]) -> None:
        super().__init__(rows.counts)
        self.rows, self.other = rows, other

    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        return self.rows.take(ids, rng)

    def relabel(self, batch: B, ids: Sequence[int], epoch: int) -> B:
        return self.other.relabel(batch, ids, epoch)


def _labelled(rows: Synthetic[B], synthetic: Synthetic[B]) -> Synthetic[B]:
    return Taught(rows, synthetic) if synthetic.label_kind == "teacher" else rows


def random_rows(problem: Problem[B], synthetic: Synthetic[B], seed: int) -> Synthetic[B]:
    """As many random real rows as the set is stored as; labelled by its teacher, where it has one."""
    return _labelled(Selected.random(problem.data, synthetic.stored_counts, stream(seed, "random")), synthetic)


def selections(names: Sequence[str], problem: Problem[Any]) -> dict[str, Method]:
    """The selection methods of these names, but for `random`, which is always there. A bare name is
    looked up in the problem's modality first, then in the core. Raises UnknownName with close matches."""
    modality = problem.name.partition("/")[0]
    known: dict[str, Method] = {}
    for entry in installed().entries("method"):
        if names and ("/" not in entry.name or entry.name.startswith(f"{modality}/")):
            with suppress(PluginLoadError):  # of one plugin: the others' methods are there
                known[entry.name] = entry.load()
    known = {name: method for name, method in known.items() if method.family == "selection"}
    found: dict[str, Method] = {}
    for name in names:
        full = next((full for full in (f"{modality}/{name}", name) if full in known), None)
        if full is None:
            raise UnknownName(f"no selection method {name!r} for {problem.name}.{choices(name, known)}")
        if full != "random":
            found[full] = known[full]
    return found


def selected_rows(
    methods: Mapping[str, Method],
    problem: Problem[B],
    synthetic: Synthetic[B],
    seeds: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, list[Synthetic[B]]]:
    """For each method as many real rows as the set is stored as, selected anew for each seed by its quick preset; labelled by
    the set's teacher, where it has one."""
    from .methods.plan import Work

    counts = synthetic.stored_counts
    found: dict[str, list[Synthetic[B]]] = {name: [] for name in methods}
    for name, method in methods.items():
        plan = method.plan(problem, counts, method.resolve(problem, counts))
        for seed in range(seeds):
            found[name].append(_labelled(Work(problem, counts, seed).perform(plan), synthetic))
            if progress is not None:
                progress(f"select rows by {name}", seed + 1, seeds)
    return found
