"""TD3: sequences by Tucker decomposition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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

__all__ = ["TD3", "TD3Options"]


class TD3Options(Options):
    """TD3. Defaults: Zhang et al. 2025, the configuration of their code; `steps` is ours, it counts updates."""

    steps: int = Field(1000, ge=1, description="updates of the sequences")
    lr: float = Field(
        0.01, gt=0, description="learning rate of core, users and positions (Adam), falling along a cosine"
    )
    rank: int = Field(16, ge=1, description="d_1 and d_2: of users and positions; d_3 is the items' embedding")
    unroll: int = Field(200, ge=1, description="most training steps of a network")
    window: int = Field(40, ge=1, description="the last of them, which are differentiated")
    step_size: float = Field(0.005, gt=0, description="learning rate of the networks (Adam)")
    alignment: float = Field(1.0, ge=0, description="weight of the features' distance from the trained network's")
    clip: float = Field(2.0, gt=0, description="most that a gradient may be, in moving averages of its norm")
    n_real: int = Field(256, ge=1, description="real sequences in an update")
    epochs: int = Field(200, ge=1, description="epochs of the network whose embeddings and features are followed")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: TD3Options) -> Plan:
    """A network trained on real sequences, Tucker noise around its item embeddings, then aligned training."""
    import math

    import torch

    from ddcore.evaluation import train
    from ddcore.methods.optimisers import clipped
    from ddcore.methods.plan import Plan, Prepare, Synthesise
    from ddcore.objectives.networks import Fresh
    from ddcore.parametrizations.base import Selected

    from ..alignment import AlignedTraining
    from ..latent import TuckerSequences

    def teach(work: Work[Any]) -> torch.nn.Module:
        everything = Selected(work.problem.data, {0: work.problem.data.ids()})
        recipe = replace(work.problem.recipe, epochs=options.epochs)
        net = train(work.problem, everything, recipe, work.rng("teacher").getrandbits(31), options.model)
        return net.eval().requires_grad_(False)

    def start(work: Work[Any]) -> Synthetic[Any]:
        length = work.problem.synthetic(counts, None, work.rng("shape")).batch().x.shape[1]
        items = work.results["teacher"].items
        made = TuckerSequences.noise(counts, length, items, options.rank, work.rng("noise"))
        return made.start_step_size(options.step_size)

    def objective(work: Work[Any]) -> AlignedTraining:
        return AlignedTraining(
            work.results["teacher"],
            steps=options.unroll,
            window=options.window,
            n_real=options.n_real,
            alignment=options.alignment,
            networks=Fresh(options.model),
        )

    stage = Synthesise(
        objective,
        options.steps,
        clipped(partial(torch.optim.Adam, lr=options.lr), options.clip),
        schedule=lambda step: 0.5 * (1 + math.cos(math.pi * step / options.steps)),
    )
    return Plan((Prepare("teacher", teach), Become(start), stage))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Short trainings at higher rates."""
    return {"steps": 40, "lr": 0.03, "unroll": 15, "window": 6, "step_size": 0.02, "n_real": 64, "epochs": 20}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Trainings of 200 steps, windows of 40."""
    return {}


TD3 = Method(
    name="recommender/td3",
    summary="Sequences by Tucker decomposition, through windows of training and a trained network's features.",
    family="meta-learning",
    paper="Zhang et al., TD3: Tucker Decomposition Based Dataset Distillation Method for Sequential Recommendation, WWW 2025",
    options=TD3Options,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    needs=("network",),
    refuses=of_sequences,
)
