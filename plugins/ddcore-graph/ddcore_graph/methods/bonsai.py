"""Bonsai: exemplars of computation trees, without gradients."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults, not_nodes

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.parametrizations.base import Selected
    from ddcore.problem import Problem

__all__ = ["BONSAI", "BonsaiOptions"]


class BonsaiOptions(Options):
    """Exemplars by coverage. Defaults: Gupta et al. 2025, their code."""

    neighbours: int = Field(5, ge=1, description="k: a node covers those that have it among their k nearest")
    hops: int = Field(2, ge=0, description="depth of the computation trees that are compared")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: BonsaiOptions) -> Plan:
    """Training nodes that cover the most others by what they see of their neighbours."""
    from ddcore.methods.plan import Plan, Select

    def choose(problem: Problem[Any], counts: Mapping[int, int], rng: random.Random) -> Selected[Any]:
        import torch

        from ddcore.parametrizations.base import Selected

        from ..coverage import exemplars

        data = problem.data
        ids, groups = zip(*((i, g) for g in counts for i in data.ids(g)), strict=True)
        batch = data.take(ids)
        seen = torch.cat([batch.hops(k)[batch.rows] for k in range(options.hops + 1)], 1)
        chosen = exemplars(seen, groups, counts, options.neighbours)
        return Selected(data, {g: [ids[j] for j in chosen if groups[j] == g] for g in counts})

    return Plan((Select(choose),))


BONSAI = Method(
    name="graph/bonsai",
    summary="Real nodes whose computation trees cover the most others, without gradients.",
    family="graph condensation",
    paper="Gupta et al., Bonsai: Gradient-free Graph Condensation for Node Classification, ICLR 2025",
    options=BonsaiOptions,
    plan=plan,
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)
