"""DC and DSA: gradient matching, without and with siamese augmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, siamese

if TYPE_CHECKING:
    from ..loop import Objective
    from ..objectives.networks import Networks
    from ..problem import Problem
    from .plan import Plan

__all__ = ["DC", "DSA", "DCOptions", "DSAOptions", "along_training", "loops"]


class DCOptions(Options):
    """Gradient matching. Defaults: Zhao et al. 2021, section 4.1 and their code; `outer` and `inner` are its table for
    one row a class."""

    steps: int = Field(
        1000, ge=1, description="updates of the set; the paper counts networks, each with `outer` updates"
    )
    outer: int = Field(1, ge=1, description="updates along the training of one network")
    inner: int = Field(1, ge=1, description="epochs of network training on the set between two updates")
    lr: float = Field(0.1, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    lr_net: float = Field(0.01, gt=0, description="learning rate of the networks (SGD)")
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real rows, or noise")
    n_real: int = Field(256, ge=1, description="real rows of each group in an update")
    distance: Literal["layer-cosine", "cosine", "mse", "l1"] = Field(
        "layer-cosine", description="distance of two gradients"
    )
    augment: Literal["match", "none"] = Field("none", description="siamese augmentation, or none")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


class DSAOptions(DCOptions):
    """Gradient matching under siamese augmentation. Defaults: Zhao and Bilen 2021, section 4.1 and their code."""

    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    augment: Literal["match", "none"] = Field("match", description="siamese augmentation, or none")


def along_training(
    problem: Problem[Any],
    options: DCOptions,
    objective: Callable[..., Objective],
    policy: Callable[..., Networks] | None = None,  # None: TrainedOnSet
) -> Plan:
    """Noise or random real rows, then matching along the training of networks on the set: DC's plan with another objective."""
    import torch

    from ..objectives.networks import TrainedOnSet
    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    augment = siamese(problem, options.augment)
    networks = (policy or TrainedOnSet)(
        outer=options.outer,
        epochs=options.inner,
        lr=options.lr_net,
        augment="train" if augment and "train" in problem.augmentations else None,
        model=options.model,
    )
    made = objective(n_real=options.n_real, distance=options.distance, augment=augment, networks=networks)
    sgd = partial(torch.optim.SGD, lr=options.lr, momentum=0.5)
    return Plan((*starting_rows(options.start), Synthesise(made, options.steps, sgd)))


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DCOptions) -> Plan:
    """Noise or random real rows, then gradient matching."""
    from ..objectives.gradient import GradientMatching

    return along_training(problem, options, GradientMatching)


LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}
"""ipc -> (outer, inner): the paper's table, as its code has it."""


def loops(counts: Mapping[int, int]) -> tuple[int, int]:
    """(outer, inner) for that many rows a class."""
    ipc = max(counts.values())
    return LOOPS[max((known for known in LOOPS if known <= ipc), default=1)]


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """A hundred updates from real rows, or half of them along five networks; the paper's loops, 64 real rows a class."""
    outer, inner = loops(counts)
    return {"steps": 100 if outer == 1 else 50, "outer": outer, "inner": inner, "n_real": 64, "start": "real"}


def paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Section 4.1 of the paper: 1,000 networks; inner and outer loops by ipc are `get_loops` of its code."""
    outer, inner = loops(counts)
    return {"steps": 1000 * outer, "outer": outer, "inner": inner}


DC = Method(
    name="dc",
    summary="Gradient matching along the training of networks.",
    family="gradient matching",
    paper="Zhao, Mopuri and Bilen, Dataset Condensation with Gradient Matching, ICLR 2021",
    options=DCOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
)


def _without_augmentation(problem: Problem[Any]) -> str | None:
    return None if "match" in problem.augmentations else "it has no siamese augmentation (`match`); dc needs none"


DSA = Method(
    name="dsa",
    summary="Gradient matching under siamese augmentation.",
    family="gradient matching",
    paper="Zhao and Bilen, Dataset Condensation with Differentiable Siamese Augmentation, ICML 2021",
    options=DSAOptions,
    plan=plan,
    presets={"quick": quick, "paper": paper},
    needs=("augmentation",),
    refuses=_without_augmentation,
)
