"""DConRec: which interactions to keep, by policy gradient."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .stages import Become, of_rankings

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["DCONREC", "DConRecOptions"]


class DConRecOptions(Options):
    """DConRec. Defaults: Wu et al. 2024, their code."""

    steps: int = Field(1000, ge=1, description="updates of the probabilities")
    lr: float = Field(
        0.1, gt=0, description="their learning rate (Adam), a tenth after every `drop_every` updates, to 1e-4"
    )
    drop_every: int = Field(70, ge=1, description="updates between two drops of the learning rate")
    masks: int = Field(4, ge=2, description="masks drawn in an update, each with a network of its own")
    proposed: float = Field(
        0.5, ge=0, description="unseen items that are proposed for each real one, by a trained network"
    )


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DConRecOptions) -> Plan:
    """Real and proposed interactions, policy gradients, and a draw of the budget's interactions."""
    import numpy as np
    import torch

    from ddcore.methods.plan import Plan, Synthesise

    from ..keeping import KeptInteractions, OneEpoch, candidates, unseen_scores
    from ..models.mf import MF
    from ..users import SparseUsers, user_data

    def start(work: Work[Any]) -> Synthetic[Any]:
        data = user_data(work.problem)
        budget = max(round(counts[0] / len(data.ids()) * data.train.nnz), 1)
        rows = data.train
        if options.proposed:
            net = MF(rows.shape[1]).to(work.problem.device)
            net.fit(SparseUsers(rows), work.problem)
            rows = candidates(rows, unseen_scores(net, rows), options.proposed)
        return KeptInteractions(rows, budget)

    def draw(work: Work[Any]) -> Synthetic[Any]:
        assert isinstance(work.synthetic, KeptInteractions)
        return work.synthetic.drawn(np.random.default_rng(work.rng("draw").getrandbits(63)))

    stage = Synthesise(
        OneEpoch(options.masks),
        options.steps,
        partial(torch.optim.Adam, lr=options.lr),
        schedule=lambda step: max(0.1 ** (step // options.drop_every), 1e-4 / options.lr),
    )
    return Plan((Become(start), stage, Become(draw)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """60 updates at half the rate."""
    return {"steps": 60, "lr": 0.05, "drop_every": 30}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """1,000 updates."""
    return {}


def _val(problem: Problem[Any]) -> str | None:
    if (reason := of_rankings(problem)) is not None:
        return reason
    return None if problem.data.ids(split="val") else "its outer loss is on val, and this data has none"


DCONREC = Method(
    name="recommender/dconrec",
    summary="Interactions, real and proposed, that are kept with learned probabilities.",
    family="meta-learning",
    paper="Wu et al., Dataset Condensation for Recommendation, TKDE 2024",
    options=DConRecOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    needs=("network",),
    refuses=_val,
)
