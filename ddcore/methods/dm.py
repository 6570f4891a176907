"""DM: distribution matching."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, augmented, siamese

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Plan

__all__ = ["DM", "DMOptions"]


class DMOptions(Options):
    """Distribution matching. Defaults: Zhao and Bilen 2023, section 4.1 and their code."""

    steps: int = Field(20_000, ge=1, description="updates of the set")
    lr: float = Field(1.0, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    start: Literal["real", "k-means", "noise"] = Field(
        "real", description="where the set starts: random real rows, rows nearest to each class's centres, or noise"
    )
    n_real: int = Field(256, ge=1, description="real rows of each group in an update")
    augment: Literal["match", "none"] = Field("match", description="siamese augmentation, or none")
    pool: int = Field(
        0, ge=0, description="networks that are kept and reused with cached class means; 0: a fresh one each update"
    )
    renew: int = Field(3, ge=0, description="updates until the pool's oldest network is replaced; 0: never")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DMOptions) -> Plan:
    """Random real rows, then distribution matching."""
    import torch

    from ..objectives.distribution import DistributionMatching, PooledDistributionMatching
    from ..objectives.networks import Fresh
    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    augment = siamese(problem, options.augment)
    one_by_one = problem.device.type == "cpu" and problem.data.separable  # a GPU is filled by all groups together
    shared: dict[str, Any] = {"n_real": options.n_real, "augment": augment, "one_by_one": one_by_one}
    objective = (
        PooledDistributionMatching(**shared, pool=options.pool, renew=options.renew, model=options.model)
        if options.pool
        else DistributionMatching(**shared, networks=Fresh(options.model))
    )
    sgd = partial(torch.optim.SGD, lr=options.lr, momentum=0.5)
    return Plan((*starting_rows(options.start, options.model), Synthesise(objective, options.steps, sgd)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """A pool of networks with cached class means, 300 updates."""
    return {"steps": 300, "pool": 20, "augment": augmented(problem)}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Section 4.1 of the paper: 20,000 updates with fresh networks; the learning rate is 1, and 10 from 100 rows a class up, but
    for CIFAR-100."""
    large = max(counts.values()) >= 100 and problem.name != "image/cifar100"
    return {"lr": 10.0 if large else 1.0, "augment": augmented(problem)}


DM = Method(
    name="dm",
    summary="Distribution matching: class means in random networks.",
    family="distribution matching",
    paper="Zhao and Bilen, Dataset Condensation with Distribution Matching, WACV 2023",
    options=DMOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
)
