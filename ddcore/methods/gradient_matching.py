"""Gradient matching beyond DC and DSA: what is compared, on which networks, against which real rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, siamese
from .dc import DSAOptions, along_training, loops, quick

if TYPE_CHECKING:
    from ..loop import Objective
    from ..problem import Problem
    from .plan import Plan, Synthesise

__all__ = ["DCC", "IDC", "DCCOptions", "IDCOptions"]


def _augment(problem: Problem[Any]) -> str:
    """Siamese augmentation where the problem has one."""
    return "match" if "match" in problem.augmentations else "none"


def _along_training_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """DC's."""
    return {**quick(problem, counts), "augment": _augment(problem)}


def _along_training_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """1,000 networks; inner and outer loops of DC by ipc."""
    outer, inner = loops(counts)
    return {"steps": 1000 * outer, "outer": outer, "inner": inner, "augment": _augment(problem)}


# ---------------------------------------------------------------------------------------------------------------------
# DCC


class DCCOptions(DSAOptions):
    """Gradients that are summed over classes. Defaults: DSA's, on which Lee et al. 2022 build (their DSAC)."""


def _dcc(problem: Problem[Any], counts: Mapping[int, int], options: DCCOptions) -> Plan:
    """DSA's plan; the classes' gradients are compared as one."""
    from ..objectives.gradient import ContrastiveMatching

    return along_training(problem, options, ContrastiveMatching)


DCC = Method(
    name="dcc",
    summary="Gradient matching of all classes' sum: what tells them apart.",
    family="gradient matching",
    paper="Lee, Chun, Jung, Yun and Yoon, Dataset Condensation with Contrastive Signals, ICML 2022",
    options=DCCOptions,
    plan=_dcc,
    presets={"quick": _along_training_quick, "paper": _along_training_paper},
)


# ---------------------------------------------------------------------------------------------------------------------
# IDC


class IDCOptions(Options):
    """IDC's objective without its packing (IDC-I). Defaults: Kim et al. 2022 and their code, for 32x32 images."""

    steps: int = Field(
        2_000_000, ge=1, description="updates of the set, one for each class in turn; a round is one of all classes"
    )
    outer: int = Field(100, ge=1, description="rounds along the training of one network")
    inner: int = Field(32, ge=0, description="minibatches of real rows that a network is trained on between two rounds")
    batch: int = Field(64, ge=1, description="rows of such a minibatch")
    lr: float = Field(0.005, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    lr_net: float = Field(0.01, gt=0, description="learning rate of the networks (SGD, momentum 0.9)")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    n_real: int = Field(64, ge=1, description="real rows of the class in an update")
    distance: Literal["layer-cosine", "cosine", "mse", "l1"] = Field("mse", description="distance of two gradients")
    augment: Literal["match", "none"] = Field("match", description="siamese augmentation, or none")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _idc(problem: Problem[Any], counts: Mapping[int, int], options: IDCOptions) -> Plan:
    """Random real rows, then an update for each class in turn."""
    from ..objectives.gradient import GroupwiseMatching
    from ..objectives.networks import TrainedOnReal
    from .coresets import starting_rows
    from .plan import Plan

    objective = GroupwiseMatching(**_shared(problem, options), networks=TrainedOnReal(**_training(options)))
    return Plan((*starting_rows(options.start), _groupwise(objective, options, options.steps)))


def _shared(problem: Problem[Any], options: IDCOptions) -> dict[str, Any]:
    """What the objectives that build on IDC's have in common."""
    augment = siamese(problem, options.augment)
    return {"n_real": options.n_real, "distance": options.distance, "augment": augment}


def _training(options: IDCOptions) -> dict[str, Any]:
    """How networks are trained on real rows."""
    return {
        "outer": options.outer,
        "steps": options.inner,
        "lr": options.lr_net,
        "size": options.batch,
        "model": options.model,
    }


def _groupwise(objective: Objective, options: IDCOptions, steps: int) -> Synthesise:
    import torch

    from .plan import Synthesise

    return Synthesise(objective, steps, partial(torch.optim.SGD, lr=options.lr, momentum=0.5))


def _idc_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """200 rounds, a new network every 10."""
    return {
        "steps": 200 * len(counts),
        "outer": 10,
        "inner": 2,
        "lr": 0.1,
        "augment": _augment(problem),
    }


def _idc_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """2,000 networks of 100 rounds; absolute distances on MNIST and Fashion-MNIST, squared ones elsewhere; learning rates grow
    with the rows per class."""
    grey = problem.name in ("image/mnist", "image/fashion-mnist")
    return {
        "steps": 200_000 * len(counts),
        "inner": 32 if problem.name in ("image/cifar10", "image/cifar100") else 8,
        "distance": "l1" if grey else "mse",
        "lr": (1e-4 if grey else 5e-3) * max(counts.values()) / 10,
        "augment": _augment(problem),
    }


IDC = Method(
    name="idc",
    summary="Gradient matching in networks trained on real rows, class after class.",
    family="gradient matching",
    paper="Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022",
    options=IDCOptions,
    plan=_idc,
    presets={"quick": _idc_quick, "paper": _idc_paper},
)
