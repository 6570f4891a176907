"""Gradient matching beyond DC and DSA: what is compared, on which networks, against which real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, augmented, siamese
from .dc import DSAOptions, along_training, loops, quick

if TYPE_CHECKING:
    from ..loop import Objective
    from ..problem import Problem
    from .plan import Plan, Synthesise, Work

__all__ = [
    "ACC_DD",
    "DCC",
    "DREAM",
    "EGM",
    "IDC",
    "LCMAT",
    "PDD",
    "AccDDOptions",
    "DCCOptions",
    "DREAMOptions",
    "EGMOptions",
    "IDCOptions",
    "LCMatOptions",
    "PDDOptions",
]


def _along_training_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """DC's."""
    return {**quick(problem, counts), "augment": augmented(problem)}


def _along_training_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """1,000 networks; inner and outer loops of DC by ipc."""
    outer, inner = loops(counts)
    return {"steps": 1000 * outer, "outer": outer, "inner": inner, "augment": augmented(problem)}


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


def _groupwise(objective: Objective | Callable[[Work[Any]], Objective], options: IDCOptions, steps: int) -> Synthesise:
    import torch

    from .plan import Synthesise

    return Synthesise(objective, steps, partial(torch.optim.SGD, lr=options.lr, momentum=0.5))


def _idc_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """100 rounds, a new network every 10; the learning rate grows with the rows per class."""
    return {
        "steps": 100 * len(counts),
        "outer": 10,
        "inner": 2,
        "lr": min(max(counts.values()) / 10, 1.0),
        "augment": augmented(problem),
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
        "augment": augmented(problem),
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


# ---------------------------------------------------------------------------------------------------------------------
# DREAM


class DREAMOptions(IDCOptions):
    """IDC with representative real rows. Defaults: Liu et al. 2023 and their code."""

    start: Literal["k-means", "real", "noise"] = Field(  # type: ignore[assignment]
        "k-means", description="where the set starts: rows nearest to each class's centres, random real rows, or noise"
    )
    every: int = Field(10, ge=1, description="rounds until representative rows are looked for again")


def _dream(problem: Problem[Any], counts: Mapping[int, int], options: DREAMOptions) -> Plan:
    """Representative rows of a random network's features, then IDC on representative rows."""
    from ..objectives.gradient import GroupwiseMatching
    from ..objectives.networks import TrainedOnReal
    from ..objectives.real_rows import Representative
    from .coresets import starting_rows
    from .plan import Plan

    objective = GroupwiseMatching(
        **_shared(problem, options), networks=TrainedOnReal(**_training(options)), rows=Representative(options.every)
    )
    start = starting_rows(options.start, options.model)
    return Plan((*start, _groupwise(objective, options, options.steps)))


DREAM = Method(
    name="dream",
    summary="IDC's matching against real rows that represent their class.",
    family="gradient matching",
    paper="Liu et al., DREAM: Efficient Dataset Distillation by Representative Matching, ICCV 2023",
    options=DREAMOptions,
    plan=_dream,
    presets={"quick": _idc_quick, "paper": _idc_paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# Acc-DD


class AccDDOptions(IDCOptions):
    """IDC in early-stage networks that are perturbed. Defaults: Zhang et al. 2023 and their code."""

    steps: int = Field(
        500_000, ge=1, description="updates of the set, one for each class in turn; a round is one of all classes"
    )
    lr: float = Field(0.01, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    experts: int = Field(5, ge=1, description="networks that are trained beforehand")
    epochs: int = Field(2, ge=0, description="epochs of real rows that they are trained for")
    least: float = Field(0.01, ge=0, description="least part of a filter's length that its weights are moved by")
    most: float = Field(0.09, ge=0, description="greatest such part; 0: weights stay")


def _acc_dd(problem: Problem[Any], counts: Mapping[int, int], options: AccDDOptions) -> Plan:
    """Experts of a few epochs; random real rows; IDC in networks that start near the experts."""
    from ..experts import Training
    from ..objectives.gradient import GroupwiseMatching
    from ..objectives.starts import EarlyStage
    from .coresets import starting_rows
    from .plan import Experts, Plan

    shared, training = _shared(problem, options), _training(options)
    recipe = Training(options.epochs, options.lr_net, momentum=0.9, weight_decay=5e-4, size=options.batch)

    def objective(work: Work[Any]) -> Objective:
        experts = work.results["experts"]
        return GroupwiseMatching(
            **shared, networks=EarlyStage(**training, experts=experts, least=options.least, most=options.most)
        )

    experts = Experts(options.experts, recipe, options.model)
    return Plan((*starting_rows(options.start), experts, _groupwise(objective, options, options.steps)))


def _acc_dd_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """IDC's with 500 networks; on CIFAR twice its learning rate."""
    idc = _idc_paper(problem, counts)
    cifar = problem.name in ("image/cifar10", "image/cifar100")
    return {**idc, "steps": 50_000 * len(counts), "lr": idc["lr"] * (2 if cifar else 1)}


ACC_DD = Method(
    name="acc-dd",
    summary="IDC's matching in perturbed early-stage networks.",
    family="gradient matching",
    paper="Zhang et al., Accelerating Dataset Distillation via Model Augmentation, CVPR 2023",
    options=AccDDOptions,
    plan=_acc_dd,
    presets={"quick": _idc_quick, "paper": _acc_dd_paper},
    needs=("experts",),
)

# ---------------------------------------------------------------------------------------------------------------------
# PDD


class PDDOptions(IDCOptions):
    """IDC in stages, each adding a part of the set. Defaults: Chen et al. 2024 and their code."""

    stages: int = Field(5, ge=1, description="parts of the set, learned one after another; at most the rows of a class")
    warmup: int = Field(60, ge=0, description="epochs that a network is trained on each union of earlier parts")


def _pdd(problem: Problem[Any], counts: Mapping[int, int], options: PDDOptions) -> Plan:
    """Random real rows, then a stage of IDC for each part; the updates are shared out among the stages."""
    from ..objectives.gradient import ProgressiveMatching
    from ..objectives.starts import AfterParts
    from .coresets import starting_rows
    from .plan import Plan

    shared, training = _shared(problem, options), _training(options)
    number = min(options.stages, *counts.values())

    def stage(k: int) -> Synthesise:
        at: dict[str, Any] = {"stage": k, "stages": number}
        networks = AfterParts(**training, **at, epochs=options.warmup)
        steps = options.steps * (k + 1) // number - options.steps * k // number
        return _groupwise(ProgressiveMatching(**shared, networks=networks, **at), options, steps)

    return Plan((*starting_rows(options.start), *map(stage, range(number))))


def _pdd_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """IDC's, shared out among five stages, with the learning rate of a stage's rows."""
    idc = _idc_quick(problem, counts)
    return {**idc, "lr": idc["lr"] / min(5, *counts.values())}


def _pdd_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """IDC's for each of five stages, with the learning rate of a stage's rows."""
    number = min(5, *counts.values())
    idc = _idc_paper(problem, counts)
    return {**idc, "steps": number * idc["steps"], "lr": idc["lr"] / number}


def _entangled(problem: Problem[Any]) -> str | None:
    return None if problem.data.separable else "its rows are no rows apart, so earlier ones cannot be held still"


PDD = Method(
    name="pdd",
    summary="A set in parts, each learned on top of the earlier ones, by IDC's matching.",
    family="gradient matching",
    paper="Chen et al., Data Distillation Can Be Like Vodka: Distilling More Times For Better Quality, ICLR 2024",
    options=PDDOptions,
    plan=_pdd,
    presets={"quick": _pdd_quick, "paper": _pdd_paper},
    refuses=_entangled,
)

# ---------------------------------------------------------------------------------------------------------------------
# EGM


class EGMOptions(DSAOptions):
    """Gradients within and across classes. Defaults: DSA's; Jiang et al. 2022 for what is added."""

    distance: Literal["layer-cosine+norm", "layer-cosine", "cosine", "mse", "l1"] = Field(  # type: ignore[assignment]
        "layer-cosine+norm", description="distance of two gradients"
    )
    across: float = Field(1.0, ge=0, description="weight of the match across classes")
    gap: float = Field(
        2.0,
        ge=0,
        description="a network is given up when real rows cost it more than this many times what the set does; 0: never",
    )


def _egm(problem: Problem[Any], counts: Mapping[int, int], options: EGMOptions) -> Plan:
    """DSA's plan; networks that know the set by heart are given up."""
    from ..objectives.gradient import MultiLevelMatching
    from ..objectives.starts import UntilOverfit

    objective = partial(MultiLevelMatching, across=options.across)
    return along_training(problem, options, objective, partial(UntilOverfit, gap=options.gap))


EGM = Method(
    name="egm",
    summary="Gradient matching within and across classes, by angle and length.",
    family="gradient matching",
    paper="Jiang, Gu, Liu and Pan, Delving into Effective Gradient Matching for Dataset Condensation, 2022",
    options=EGMOptions,
    plan=_egm,
    presets={"quick": _along_training_quick, "paper": _along_training_paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# LCMat


class LCMatOptions(DSAOptions):
    """Gradients and the curvature around them. Defaults: DSA's; Shin et al. 2023 for what is added."""

    rho: float = Field(0.05, ge=0, description="weight of the curvature: the radius around the parameters")


def _lcmat(problem: Problem[Any], counts: Mapping[int, int], options: LCMatOptions) -> Plan:
    """DSA's plan; the classifier's curvature is matched too."""
    from ..objectives.gradient import CurvatureMatching

    return along_training(problem, options, partial(CurvatureMatching, rho=options.rho))


LCMAT = Method(
    name="lcmat",
    summary="Gradient matching that also matches how the loss bends.",
    family="gradient matching",
    paper="Shin et al., Loss-Curvature Matching for Dataset Selection and Condensation, AISTATS 2023",
    options=LCMatOptions,
    plan=_lcmat,
    presets={"quick": _along_training_quick, "paper": _along_training_paper},
)
