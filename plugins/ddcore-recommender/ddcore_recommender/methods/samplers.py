"""Samplers as methods: real users or interactions, picked without learning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ddcore.methods.base import Method
from ddcore.options import Options

from .stages import Become, of_rankings

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["FOREST_FIRE", "HEAD_USERS", "PAGERANK", "RANDOM_INTERACTIONS", "STRATIFIED", "TEMPORAL"]

PAPER = "Sachdeva et al., On Sampling Collaborative Filtering Datasets, WSDM 2022"


def _plan(name: str, problem: Problem[Any], counts: Mapping[int, int], options: Options) -> Plan:
    from ddcore.methods.plan import Plan

    def sample(work: Work[Any]) -> Synthetic[Any]:
        from ..sampling import SAMPLERS
        from ..users import SparseUsers, user_data

        return SparseUsers(SAMPLERS[name](user_data(work.problem), counts[0], work.rng("sample")))

    return Plan((Become(sample),))


def _as_they_are(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    return {}


def _timed(problem: Problem[Any]) -> str | None:
    if (reason := of_rankings(problem)) is not None:
        return reason
    from ..users import user_data

    return None if user_data(problem).times is not None else "its interactions have no times"


def _method(name: str, summary: str) -> Method:
    return Method(
        name=f"recommender/{name}",
        summary=summary,
        family="selection",
        paper=PAPER,
        options=Options,
        plan=partial(_plan, name),
        presets={"quick": _as_they_are, "paper": _as_they_are},
        refuses=_timed if name == "temporal" else of_rankings,
    )


HEAD_USERS = _method("head-users", "The users with the longest histories.")
RANDOM_INTERACTIONS = _method("random-interactions", "Uniform interactions, of whomever they are.")
STRATIFIED = _method("stratified", "The same share of every user's interactions.")
TEMPORAL = _method("temporal", "The latest interactions.")
PAGERANK = _method("pagerank", "Interactions among the users and items of the highest PageRank.")
FOREST_FIRE = _method("forest-fire", "Interactions that fires in the graph of users and items reach.")
