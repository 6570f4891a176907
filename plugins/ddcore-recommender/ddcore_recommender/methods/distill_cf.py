"""Distill-CF: fake users for collaborative filtering, by kernel regression."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.errors import OptionError
from ddcore.methods.base import Method
from ddcore.options import Options

from .stages import Become, of_rankings

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["DISTILL_CF", "DistillCFOptions"]

CLUSTER_SHARPNESS = 3.0
"""How users that start at clusters become discrete ones: chosen on val of recommender/imports and MovieLens-100K."""


class DistillCFOptions(Options):
    """Distill-CF. Defaults: Sachdeva et al. 2022, the configuration of their code."""

    steps: int = Field(500, ge=1, description="updates of the users")
    lr: float = Field(0.04, gt=0, description="learning rate of the logits (Adam)")
    start: Literal["users", "clusters"] = Field(
        "users",
        description="real users, drawn at random; or the means of clusters of them, each as heavy as its cluster",
    )
    masked: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the real histories that is hidden and asked for; 0: all is seen and asked for",
    )
    history: float | None = Field(
        200, ge=1, description="gamma: weight that a fake user hands out on average; None: as real users have"
    )
    draws: int | None = Field(
        None, ge=1, description="draws of an update; gamma by default, fewer are scaled up and take less time"
    )
    temperature: float = Field(10.0, gt=0, description="tau of the Gumbel-softmax; their grid is 0.3 to 10")
    sparsity: float = Field(1e-3, ge=0, description="lambda_2: cost of the weight of a fake user")
    val_every: int = Field(40, ge=1, description="updates between two choices of the ridge on val")
    patience: int = Field(150, ge=1, description="updates without a better score on val until nothing moves any more")
    user_batch: int = Field(1024, ge=1, description="real users read at once; all are read in every update")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DistillCFOptions) -> Plan:
    """Real users or means of clusters as logits, Distill-CF's objective, and the users as they are then drawn."""
    import torch

    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Synthesise

    from ..clusters import cluster_users
    from ..gumbel import GumbelUsers
    from ..reconstruction import Reconstruction, mean_history, on_val
    from ..users import UserSet

    items = len(problem.data.take(problem.data.ids()[:1]).x[0])
    if options.history is not None and options.history >= items:
        raise OptionError(
            f"distill-cf: history = {options.history:g}, and there are {items} items: every fake user would have them all. "
            "Give less, or None: as much as real users have"
        )

    rows = starting_rows("real") if options.start == "users" else ()

    def relax(work: Work[Any]) -> Synthetic[Any]:
        history = options.history or mean_history(work.problem)
        drawn: dict[str, Any] = {"temperature": options.temperature, "draws": options.draws}
        if work.synthetic is not None:
            return GumbelUsers(counts, work.synthetic.batch().x, history=history, **drawn)
        x, weight = cluster_users(work.problem, sum(counts.values()), work.rng("clusters"))
        return GumbelUsers(counts, options.temperature * x.log(), history=history * weight / weight.mean(), **drawn)

    def draw(work: Work[Any]) -> Synthetic[Any]:
        users = work.synthetic
        assert isinstance(users, GumbelUsers)
        users.remember(on_val(work.problem, users, objective.ridges)[0])  # after the last update
        users.recall()
        users.draws = round(float(users.history.mean()))
        with torch.no_grad():
            return UserSet(counts, users.batch().x, sharpness=options.temperature if rows else CLUSTER_SHARPNESS)

    objective = Reconstruction(
        sparsity=options.sparsity,
        masked=options.masked,
        val_every=options.val_every,
        patience=options.patience,
        user_batch=options.user_batch,
    )
    adam = partial(torch.optim.Adam, lr=options.lr)
    return Plan((*rows, Become(relax), Synthesise(objective, options.steps, adam), Become(draw)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """150 updates with 10 draws each, from clusters, half of each real history masked."""
    return {
        "steps": 150,
        "lr": 0.1,
        "start": "clusters",
        "masked": 0.5,
        "history": None,
        "draws": 10,
        "val_every": 10,
        "patience": 40,
    }


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """500 updates with a draw for each unit of weight."""
    return {}


DISTILL_CF = Method(
    name="recommender/distill-cf",
    summary="Fake users from which an infinitely wide autoencoder reconstructs the real ones.",
    family="kernel regression",
    paper="Sachdeva et al., Infinite Recommendation Networks: A Data-Centric Approach, NeurIPS 2022",
    options=DistillCFOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    refuses=of_rankings,
)
