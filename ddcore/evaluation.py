"""Evaluation: fresh networks, one protocol, whole-split scores, random real rows and all real rows beside them."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from joblib import Parallel, delayed
from torch import nn

from . import fairness
from .baselines import random_rows, selected_rows, selections
from .ceilings import Ceiling
from .devices import resolve_device
from .errors import DataError, OptionError, UnknownName, choices, expect
from .inner import fit, optimiser
from .parametrizations.base import RealRows, Synthetic
from .plugins import installed
from .problem import Problem
from .recipes import Recipe
from .report import Report, Score
from .seeds import stream, torch_seeded

if TYPE_CHECKING:
    from .artifact import Artifact

__all__ = ["check", "evaluate", "protocol", "recipe_of", "score", "train"]
B = TypeVar("B")
Values = Mapping[str, float]

RATES = (0.001, 0.005, 0.01, 0.05, 0.1)
"""The learning rates that a search tries (DD-Ranking's)."""


def evaluate(
    distilled: Artifact | Synthetic[Any],
    problem: Problem[Any] | None = None,
    *,
    models: str | Sequence[str] | None = None,
    seeds: int = 5,
    protocol: str | Recipe | None = None,
    baselines: Sequence[str] = (),
    ceiling: int = 0,
    fair: bool = False,
    search_lr: bool = False,
    corrupted: bool = False,
    split: str = "test",
    device: str = "auto",
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Trains `seeds` fresh networks of each model on the set and scores them on a whole split, at the last epoch.

    Beside each score stand as many random real rows as the set is stored as (another draw for each network) and, where it
    is cached or cheap (under 60 s), the score of a network trained on all rows; `ceiling` asks for that many of these, however
    long they take. All is under one protocol, the problem's own unless another is named. `baselines` names selection methods
    whose rows of the same number, selected anew for each network, are scored as well. `fair` adds the fair scores, for which
    more networks are trained. `search_lr` gives the set and the random rows, each for itself, the learning rate of `RATES`
    that is best on val. `corrupted` adds the scores on rows that suffer each of the problem's corruptions, as metrics of their
    own ("accuracy under noise"). `jobs` processes share the networks; where each has as many threads as one alone would, the
    numbers are the same.

    Raises UnknownName for models, protocols and baselines; NotSupported for a protocol whose augmentation the problem does not
    have, and for fair scores where no metric has bounds; DataError for a split without rows.
    """
    from .artifact import Artifact

    expect("the set", distilled, (Artifact, Synthetic), "an artifact (ddcore.open(FOLDER)) or a synthetic set")
    expect("problem", problem, (Problem, NoneType), "a problem: ddcore.load(NAME) makes one")
    expect("seeds", seeds, int, "a number of networks")
    expect("models", models, (str, Sequence, NoneType), "names of networks")
    method, notes = "set", []
    if isinstance(distilled, Artifact):
        method = distilled.manifest["method"]["name"] or method
        if problem is None:
            raise OptionError(
                "evaluate(artifact, problem) needs the problem: ddcore.load(artifact.manifest['problem']['name'])"
            )
        if distilled.manifest["problem"]["fingerprint"] != problem.fingerprint():
            notes.append(
                f"Note: distilled from other data or preprocessing than this {problem.name}: the fingerprints differ."
            )
    elif problem is None:
        raise OptionError("evaluate(set, problem) needs the problem that the set is for")
    problem = problem.to(resolve_device(device))
    if seeds < 1:
        raise OptionError(f"seeds must be at least 1, got {seeds}")
    models = [models] if isinstance(models, str) else models
    names, recipe = list(models or [next(iter(problem.models))]), recipe_of(protocol, problem)
    check(problem, recipe, names, split)
    methods = selections(baselines, problem)
    if search_lr:
        _needs_val(problem, "a learning rate is searched on val", "do not search")
    synthetic = distilled.synthetic(problem) if isinstance(distilled, Artifact) else distilled.to(problem.device)
    if synthetic.train_steps is not None:
        notes.append(
            f"Note: the set prescribes its own training, {synthetic.train_steps} steps of plain SGD, which is replayed; "
            f"random rows and all rows are trained by {recipe.name}."
        )

    began = time.perf_counter()
    sets: dict[str, Sequence[Synthetic[Any]]] = {
        "scores": [synthetic] * seeds,
        "baselines": [random_rows(problem, synthetic, s) for s in range(seeds)],
        **selected_rows(methods, problem, synthetic, seeds, progress),
    }
    searched = {(m, kind): recipe for m in names for kind in sets}
    for m, kind in searched if search_lr else ():
        if sets[kind][0].train_steps is not None or _own_fit(problem.new_model(stream("probe"), m)):
            notes.append(f"Note: {m}, {kind}: no learning rate was searched, for the training is prescribed.")
            continue
        lr = _best_rate(problem, sets[kind], recipe, m, jobs, progress)
        searched[m, kind] = replace(recipe, lr=lr)
        notes.append(f"Note: {m}, {kind}: learning rate {lr:g} was best on val.")
    if corrupted and not problem.corruptions:
        notes.append(f"Note: {problem.name} names no corruptions.")
    known = {m: Ceiling.known(problem, recipe, m, split) for m in names}
    runs: dict[fairness.Run, tuple[Any, ...]] = {  # those on all rows first: they take longest
        (m, "ceilings", s): (problem, RealRows.all(problem.data), recipe, s, m, split)
        for m in names
        for s in known[m].missing(ceiling, partial(_seconds, problem, recipe, m))
    }
    runs |= {
        (m, kind, s): (problem, sets[kind][s], searched[m, kind], s, m, split, corrupted)
        for m in names
        for s in range(seeds)
        for kind in sets
    }
    if fair:
        for m in names:
            runs |= fairness.trainings(problem, sets, {k: searched[m, k] for k in ("scores", "baselines")}, m, split)
    found = dict(zip(runs, _all(list(runs.values()), jobs, progress), strict=True))

    def table(kind: str, method: str = "") -> tuple[Score, ...]:
        return tuple(
            Score(
                metric,
                m,
                recipe.name,
                tuple(found[m, kind, s][metric] for s in range(seeds)),
                method,
                _rises(problem, metric),
            )
            for m in names
            for metric in found[m, kind, 0]
        )

    for m, entry in known.items():
        entry.add([found[run] for run in runs if run[:2] == (m, "ceilings")])
    ceilings = tuple(
        Score(metric, m, recipe.name, tuple(v[metric] for v in entry.values), "", _rises(problem, metric))
        for m, entry in known.items()
        for metric in (entry.values[0] if entry.values else ())
    )
    return Report(
        problem=problem.name,
        method=method,
        protocol=recipe.name,
        scores=table("scores"),
        baselines=(*table("baselines", "random"), *(score for name in methods for score in table(name, name))),
        ceilings=ceilings,
        ceiling_hint="" if all(entry.values for entry in known.values()) else NO_CEILING,
        fair=fairness.judge_all(problem, synthetic, found, ceilings, names) if fair else (),
        label_kind=synthetic.label_kind,
        rows=sum(synthetic.counts.values()),
        bytes=_bytes(synthetic),
        split=split,
        epoch_rule=recipe.epoch_rule,
        seconds=time.perf_counter() - began,
        notes=tuple(notes),
    )


def _rises(problem: Problem[Any], metric: str) -> bool:
    """Whether a metric is better when higher; under a corruption as without it."""
    return {m.name: m.higher_is_better for m in problem.task.metrics}.get(metric.partition(" under ")[0], True)


def _best_rate(
    problem: Problem[Any],
    sets: Sequence[Synthetic[Any]],
    recipe: Recipe,
    model: str,
    jobs: int,
    progress: Callable[[str, int, int], None] | None,
) -> float:
    """The learning rate of RATES whose networks score best on val, in the mean; the lowest of equals."""
    metric = problem.task.metrics[0]
    tasks = [(problem, one, replace(recipe, lr=lr), s, model, "val") for lr in RATES for s, one in enumerate(sets)]
    values = [found[metric.name] for found in _all(tasks, jobs, progress, "search learning rate")]
    means = [sum(values[i * len(sets) : (i + 1) * len(sets)]) for i in range(len(RATES))]
    return RATES[means.index(max(means) if metric.higher_is_better else min(means))]


def protocol(name: str) -> Recipe:
    """The recipe of that name, such as `matching@1`; without a version the newest of that name."""
    known = {entry.name: entry for entry in installed().entries("recipe")}
    versions = [full for full in known if full.rpartition("@")[0] == name]
    full = max(versions, key=lambda n: (len(n), n), default=name)
    if full not in known:
        raise UnknownName(f"no protocol {name!r}.{choices(name, known)}")
    found: Recipe = known[full].load()
    return found


def recipe_of(asked: str | Recipe | None, problem: Problem[Any]) -> Recipe:
    """The recipe that is asked for, by default the problem's own. UnknownName where there is none of that name, OptionError
    where it goes by the name of a protocol and differs from it."""
    if isinstance(asked, Recipe):
        recipe = asked
    else:
        recipe = problem.recipe if asked in (None, problem.recipe.name) else protocol(str(asked))
    with suppress(UnknownName):
        known = protocol(recipe.name)
        differ = [f.name for f in fields(Recipe) if getattr(known, f.name) != getattr(recipe, f.name)]
        if differ:
            raise OptionError(
                f"a recipe that is called {recipe.name} is not the protocol of that name: it has another "
                f"{', '.join(differ)}. Give it a name of its own"
            )
    return recipe


def check(problem: Problem[Any], recipe: Recipe, models: Sequence[str], split: str) -> None:
    """Whether networks of the problem can be trained by the recipe and scored on the split.

    Raises UnknownName for models, NotSupported for an augmentation and DataError for rows that the problem does not have.
    """
    for name in models:
        expect("model", name, str, "the name of a network")
        if name not in problem.models:
            raise UnknownName(f"no model {name!r} in {problem.name}.{choices(name, problem.models)}")
    if not problem.data.ids(split=split):
        there = [name for name in ("test", "val", "train") if problem.data.ids(split=name)]
        raise DataError(
            f"{problem.name} has no rows in the split {split!r}: bring some, or score on one of {', '.join(there)}"
        )
    if recipe.keep == "val":
        _needs_val(problem, KEPT_ON_VAL, "choose a protocol that keeps the last epoch")
    problem.training_with(recipe.augment)


KEPT_ON_VAL = "the protocol keeps the epoch that is best on val"


def _needs_val(problem: Problem[Any], why: str, instead: str) -> None:
    if not problem.data.ids(split="val"):
        raise DataError(f"{why}, and {problem.name} has no val rows: give it some, or {instead}")


def _own_fit(net: nn.Module) -> Callable[[Synthetic[Any], Problem[Any]], object] | None:
    """How a network trains itself (kernel regression, a tree), where it does."""
    found = getattr(net, "fit", None)
    return found if callable(found) else None


def train(
    problem: Problem[B], synthetic: Synthetic[B], recipe: Recipe, seed: int, model: str | None = None
) -> nn.Module:
    """A fresh network, trained on the set by the recipe. A network that brings its own `fit(set, problem)` (kernel regression,
    a tree) is trained by that; a set that prescribes its steps is replayed: those steps, in their order, by plain SGD at the
    set's own step sizes, without augmentation, whatever the recipe."""
    net = synthetic.begin(problem.new_model(stream(seed, "evaluate", model), model))
    if own_fit := _own_fit(net):
        with torch_seeded(seed, "train"):
            own_fit(synthetic, problem)
        return net
    order = stream(seed, "order").getrandbits(31)
    if synthetic.train_steps is not None:
        plain = problem.training_with(None)
        prescribed = (synthetic.train_batch(plain, t, order) for t in range(synthetic.train_steps))
        with torch_seeded(seed, "train"):
            return fit(plain, net, prescribed, optimiser(net, "sgd"))
    training = problem.training_with(recipe.augment)
    rows = sum(synthetic.counts.values())
    batches_an_epoch = max(recipe.steps(rows) // recipe.epochs, 1)
    batches = (synthetic.train_batch(training, t, order, recipe.size) for t in range(recipe.steps(rows)))
    opt = optimiser(net, recipe.rule, recipe.lr or 0.01, weight_decay=recipe.weight_decay)

    def lr(step: int) -> float:
        return (recipe.lr or 0.0) * recipe.factor(step // batches_an_epoch)

    def advance(first: int, steps: int) -> None:
        fit(training, net, islice(batches, steps), opt, None if recipe.lr is None else lambda t: lr(first + t))

    with torch_seeded(seed, "train"):
        if recipe.keep == "last":
            advance(0, recipe.steps(rows))
        else:
            _keep_best(problem, net, advance, recipe.steps(rows), recipe.val_every * batches_an_epoch)
    return net


def _keep_best(
    problem: Problem[B], net: nn.Module, advance: Callable[[int, int], None], steps: int, every: int
) -> None:
    """Trains by `advance(first, steps)`, scores on val after every `every` steps, and leaves the network as it was at the
    best of its main metric, the first of equals."""
    _needs_val(problem, KEPT_ON_VAL, "choose a protocol that keeps the last epoch")
    metric, best, kept = problem.task.metrics[0], -math.inf, net.state_dict()
    for first in range(0, steps, every):
        advance(first, every)
        found = score(problem, net, "val")[metric.name] * (1 if metric.higher_is_better else -1)
        if found > best:
            best, kept = found, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)


@torch.no_grad()
def score(
    problem: Problem[B], net: nn.Module, split: str = "test", size: int = 256, corruption: str | None = None
) -> dict[str, float]:
    """The task's metrics over the whole split, in evaluation mode; of rows as they are, or under a corruption, whose draws are
    the same for every network."""
    net.eval()
    batches = problem.data.batches(split, size)
    if corruption is not None:
        batches = (problem.corruptions[corruption](batch, i) for i, batch in enumerate(batches))
    return dict(problem.task.score((net(batch), batch) for batch in batches))


def _train_and_score(
    problem: Problem[Any],
    synthetic: Synthetic[Any],
    recipe: Recipe,
    seed: int,
    model: str,
    split: str,
    corrupted: bool = False,
) -> dict[str, float]:
    net = train(problem, synthetic, recipe, seed, model)
    found = score(problem, net, split)
    for name in problem.corruptions if corrupted else ():
        found |= {f"{metric} under {name}": v for metric, v in score(problem, net, split, corruption=name).items()}
    return found


def _all(
    tasks: Sequence[tuple[Any, ...]],
    jobs: int,
    progress: Callable[[str, int, int], None] | None,
    what: str = "evaluate",
) -> list[Values]:
    found = []
    results: Iterable[Values]
    if jobs == 1:
        results = (_train_and_score(*task) for task in tasks)
    else:
        results = Parallel(n_jobs=jobs, return_as="generator")(delayed(_train_and_score)(*task) for task in tasks)
    for done, values in enumerate(results, start=1):
        found.append(values)
        if progress is not None:
            progress(what, done, len(tasks))
    return found


NO_CEILING = (
    "No full-data ceiling yet: it may take over a minute; `ddcore evaluate DIR --ceiling` computes and caches it."
)


def _seconds(problem: Problem[Any], recipe: Recipe, model: str) -> float:
    """What one training on all rows would take, from a few steps; infinite where that cannot be told."""
    if _own_fit(problem.new_model(stream("probe"), model)):
        return math.inf  # it trains itself: no step to measure
    every = RealRows.all(problem.data).chosen
    ids = every[: None if recipe.size is None else 4 * recipe.size]
    probe, short = RealRows(problem.data, {0: ids}), replace(recipe, epochs=4 if recipe.size is None else 1)
    laps = []
    for _ in range(3):  # the first is slow, and another program may disturb one
        began = time.perf_counter()
        train(problem, probe, short, 0, model)
        laps.append(time.perf_counter() - began)
    return min(laps) / (short.epochs * len(ids)) * recipe.epochs * len(every)


def _bytes(synthetic: Synthetic[Any]) -> int:
    return sum(x.numel() * x.element_size() for x in synthetic.stored().values())
