"""Selection by structure: the most central nodes of each class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .frame import defaults, not_nodes

if TYPE_CHECKING:
    import random

    from torch import Tensor

    from ddcore.methods.plan import Plan
    from ddcore.parametrizations import Selected
    from ddcore.problem import Problem

__all__ = ["DEGREE", "PAGERANK", "PageRankOptions"]


class PageRankOptions(Options):
    """Nodes that random walks visit most."""

    damping: float = Field(0.85, ge=0, lt=1, description="probability that a walk goes on")


def _most(
    measure: str, problem: Problem[Any], counts: Mapping[int, int], rng: random.Random, **options: float
) -> Selected[Any]:
    """The nodes of each class that come first; of equals those that come first in the data."""
    from ddcore.parametrizations import Selected

    from .. import centrality
    from ..data import node_data

    part = node_data(problem).part("train")
    found: Tensor = getattr(centrality, measure)(part, **options)
    chosen = {}
    for g, n in counts.items():
        ids = list(problem.data.ids(g))
        order = found[part.position[ids]].argsort(descending=True, stable=True)
        chosen[g] = [ids[i] for i in order[:n].tolist()]
    return Selected(problem.data, chosen)


def _plan(measure: str, problem: Problem[Any], counts: Mapping[int, int], options: Options) -> Plan:
    from ddcore.methods.plan import Plan, Select

    return Plan((Select(partial(_most, measure, **options.model_dump())),))


DEGREE = Method(
    name="graph/degree",
    summary="The nodes of each class with the most edges.",
    family="selection",
    paper="none: degree centrality",
    options=Options,
    plan=partial(_plan, "degrees"),
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)
PAGERANK = Method(
    name="graph/pagerank",
    summary="The nodes of each class that random walks visit most.",
    family="selection",
    paper="Brin and Page, The Anatomy of a Large-Scale Hypertextual Web Search Engine, WWW 1998",
    options=PageRankOptions,
    plan=partial(_plan, "pagerank"),
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)
