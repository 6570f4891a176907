"""Coresets as methods: real rows, the baselines beside every distilled set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..options import Options
from .base import Method

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Plan, Stage

__all__ = ["HERDING", "K_CENTER", "K_MEANS", "RANDOM", "CoresetOptions", "starting_rows"]


class CoresetOptions(Options):
    """Real rows, picked by the features of a network that is trained on all of them."""

    epochs: int = Field(20, ge=0, description="epochs of the network whose features are compared; 0: a random network")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def starting_rows(start: str, model: str | None = None) -> tuple[Stage, ...]:
    """The stage that picks real rows to start from: `real` at random, `k-means` those nearest to each group's centres in the
    features of a random network; none for `noise`."""
    from .. import selection
    from ..parametrizations.base import Selected
    from .plan import Select

    if start == "k-means":
        pick = partial(selection.choose, policy=selection.k_means, epochs=0, model=model)
        return (Select(lambda problem, counts, rng: pick(problem, counts, rng=rng)),)
    return (Select(lambda problem, counts, rng: Selected.random(problem.data, counts, rng)),) if start == "real" else ()


def _random(problem: Problem[Any], counts: Mapping[int, int], options: Options) -> Plan:
    from .plan import Plan

    return Plan(starting_rows("real"))


def _coreset(policy: str, problem: Problem[Any], counts: Mapping[int, int], options: CoresetOptions) -> Plan:
    from .. import selection
    from .plan import Plan, Select

    pick = partial(selection.choose, policy=getattr(selection, policy), epochs=options.epochs, model=options.model)
    return Plan((Select(lambda problem, counts, rng: pick(problem, counts, rng=rng)),))


def _as_they_are(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    return {}


def _method(name: str, summary: str, paper: str, policy: str) -> Method:
    return Method(
        name=name,
        summary=summary,
        family="selection",
        paper=paper,
        options=CoresetOptions,
        plan=partial(_coreset, policy),
        presets={"quick": _as_they_are, "paper": _as_they_are},
        needs=("network",),
    )


RANDOM = Method(
    name="random",
    summary="Uniform real rows: the baseline of every report.",
    family="selection",
    paper="none: uniform sampling without replacement",
    options=Options,
    plan=_random,
    presets={"quick": _as_they_are, "paper": _as_they_are},
)
HERDING = _method(
    "herding",
    "Real rows whose feature mean follows the class mean.",
    "Welling, Herding Dynamical Weights to Learn, ICML 2009; Rebuffi et al., iCaRL, CVPR 2017",
    "herding",
)
K_CENTER = _method(
    "k-center",
    "Real rows that cover each class in feature space.",
    "Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018",
    "k_center",
)
K_MEANS = _method(
    "k-means",
    "Real rows nearest to each class's k-means centres.",
    "Lloyd, Least squares quantization in PCM, 1982; Arthur and Vassilvitskii, k-means++, SODA 2007",
    "k_means",
)
