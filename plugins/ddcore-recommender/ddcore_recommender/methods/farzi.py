"""Farzi: low-rank sequences, by back-propagation through Adam."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .stages import Become, of_sequences

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["FARZI", "FarziOptions"]


class FarziOptions(Options):
    """Farzi. The paper names Adam inside and outside and a rank of about 32; its code is not public, and the other defaults are
    ours."""

    steps: int = Field(2000, ge=1, description="updates of the sequences")
    lr: float = Field(0.01, gt=0, description="learning rate of the sequences (Adam)")
    rank: int = Field(32, ge=1, description="d: numbers of a position")
    unroll: int = Field(200, ge=1, description="training steps of a network, all of them differentiated")
    step_size: float = Field(0.01, gt=0, description="learning rate of the networks (Adam)")
    clip: float = Field(2.0, gt=0, description="most that a gradient may be, in moving averages of its norm")
    n_real: int = Field(256, ge=1, description="real sequences in an update")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: FarziOptions) -> Plan:
    """Low-rank noise, then back-propagation through training by Adam."""
    import torch

    from ddcore.methods.optimisers import clipped
    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.meta import BackpropThroughTraining
    from ddcore.objectives.networks import Fresh

    from ..latent import LowRankSequences

    def start(work: Work[Any]) -> Synthetic[Any]:
        length, items = problem.synthetic(counts, None, work.rng("shape")).batch().x.shape[1:]
        made = LowRankSequences.noise(counts, length, items, options.rank, work.rng("noise"))
        return made.start_step_size(options.step_size)

    objective = BackpropThroughTraining(
        steps=options.unroll, n_real=options.n_real, rule="adam", networks=Fresh(options.model), memory="replay"
    )
    adam = clipped(partial(torch.optim.Adam, lr=options.lr), options.clip)
    return Plan((Become(start), Synthesise(objective, options.steps, adam)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Short trainings at a higher rate."""
    return {"steps": 60, "lr": 0.03, "unroll": 10, "step_size": 0.02, "n_real": 64, "rank": 16}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Trainings of 200 steps."""
    return {}


FARZI = Method(
    name="recommender/farzi",
    summary="Low-rank sequences, by back-propagation through training by Adam.",
    family="meta-learning",
    paper="Sachdeva et al., Farzi Data: Autoregressive Data Distillation, arXiv 2023",
    options=FarziOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    refuses=of_sequences,
)
