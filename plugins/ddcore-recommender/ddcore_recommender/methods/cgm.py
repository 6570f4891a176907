"""CGM: gradient matching of categorical rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .stages import of_clicks

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["CGM", "CGMOptions"]


class CGMOptions(Options):
    """Categorical gradient matching. The abstract names one-step matching at fresh networks; the numbers are ours."""

    steps: int = Field(1000, ge=1, description="updates of the rows")
    lr: float = Field(0.01, gt=0, description="learning rate of the values' weights (Adam)")
    n_real: int = Field(1024, ge=1, description="real rows of either class in an update")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: CGMOptions) -> Plan:
    """Random real rows as weights, then one-step gradient matching of either class."""
    import torch

    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.gradient import GradientMatching
    from ddcore.objectives.networks import Fresh

    objective = GradientMatching(networks=Fresh(options.model), n_real=options.n_real, distance="mse", augment=None)
    adam = partial(torch.optim.Adam, lr=options.lr)
    return Plan((*starting_rows("real"), Synthesise(objective, options.steps, adam)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """200 updates on fewer rows."""
    return {"steps": 200, "n_real": 256, "lr": 0.02}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults."""
    return {}


CGM = Method(
    name="recommender/cgm",
    summary="One-step gradient matching of dense relaxations of categorical fields.",
    family="gradient matching",
    paper="Wang et al., Gradient Matching for Categorical Data Distillation in CTR Prediction, RecSys 2023",
    options=CGMOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    refuses=of_clicks,
)
