"""Methods that compare distributions of features by more than their means: kernels, quantiles, characteristic functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, augmented, siamese
from .distribution_matching import FAMILY, ExpertOptions, FeatureOptions, experts, optimised, shared

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Plan, Work

__all__ = [
    "BACON",
    "IDM",
    "LQM",
    "M3D",
    "NCFM",
    "WMDD",
    "BACONOptions",
    "IDMOptions",
    "M3DOptions",
    "NCFMOptions",
    "WMDDOptions",
]


def unbounded(problem: Problem[Any]) -> str | None:
    """Why a network's score cannot weigh a loss; None where it can."""
    metric = problem.task.metrics[0]
    finite = all(abs(bound) < float("inf") for bound in (metric.low, metric.high))
    return None if finite else f"its metric {metric.name} has no range, and networks are weighed by what they score"


# ---------------------------------------------------------------------------------------------------------------------
# M3D


class M3DOptions(FeatureOptions):
    """Kernel matching. The kernel's width and scale are ours; the rest is DM's."""

    kernel: Literal["gaussian", "linear"] = Field("gaussian", description="gaussian: all moments; linear: means, so DM")
    per_network: int = Field(1, ge=1, description="updates that see the same random network")


def _m3d(problem: Problem[Any], counts: Mapping[int, int], options: M3DOptions) -> Plan:
    """Random real rows, then kernel matching."""
    from ..objectives.mmd import KernelMatching
    from ..objectives.networks import TrainedOnReal

    networks = TrainedOnReal(outer=options.per_network, steps=0, model=options.model)
    return optimised(options, KernelMatching(**shared(problem, options), networks=networks, kernel=options.kernel))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates and real rows."""
    return {"steps": 200, "n_real": 64, "augment": augmented(problem)}


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """20,000 updates."""
    return {"augment": augmented(problem)}


M3D = Method(
    name="m3d",
    summary="Kernel matching: all moments of features in random networks.",
    family=FAMILY,
    paper="Zhang, Li, Wang, Zeng and Ge, M3D, AAAI 2024",
    options=M3DOptions,
    plan=_m3d,
    presets={"quick": _quick, "paper": _paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# IDM


class IDMOptions(FeatureOptions):
    """Class-wise matching with a queue of half-trained networks. Defaults: the code of Zhao et al. 2023 at 10 rows a class."""

    steps: int = Field(200_000, ge=1, description="updates of the set, one for each class in turn")
    lr: float = Field(0.2, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    weight: float = Field(
        0.5, ge=0, description="weight of the class regulariser, times the network's score in percent"
    )
    begin: int = Field(3, ge=1, description="networks in the queue at the beginning")
    every: int = Field(30, ge=1, description="a random network joins the queue every so many rounds of the classes")
    most: int = Field(100, ge=1, description="networks in the queue at most; the oldest leaves")
    trained: int = Field(2, ge=0, description="networks of the queue that are trained after each round")
    train_steps: int = Field(10, ge=0, description="minibatches of that training")
    train_size: int = Field(256, ge=1, description="real rows in one of them")


def _idm(problem: Problem[Any], counts: Mapping[int, int], options: IDMOptions) -> Plan:
    """Random real rows, then class-wise matching."""
    from ..objectives.classwise import ClasswiseMatching

    return _classwise(ClasswiseMatching, problem, options)


def _classwise(matching: Callable[..., Any], problem: Problem[Any], options: IDMOptions) -> Plan:
    from ..objectives.networks import Queue

    queue = Queue(
        start=options.begin,
        every=options.every,
        most=options.most,
        trained=options.trained,
        steps=options.train_steps,
        size=options.train_size,
        augment=None,
        model=options.model,
    )
    objective = matching(
        n_real=options.n_real,
        augment=siamese(problem, options.augment),
        networks=queue,
        weight=options.weight,
        marked=options.train_size,
    )
    return optimised(options, objective)


def _idm_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """80 rounds of the classes; fewer real rows, little training between rounds, and a regulariser for few features."""
    few = {"n_real": 64, "weight": 0.02, "every": 10, "most": 8, "train_steps": 4, "train_size": 64}
    return {**few, "steps": 80 * len(counts), "augment": augmented(problem)}


def _idm_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """20,000 rounds; at one row a class 5,000 real rows and a new network every 5 rounds, from 50 a smaller regulariser. For
    CIFAR-100 at ten and for the ImageNet subsets the code has others."""
    most = max(counts.values())
    table: dict[str, Any] = {"n_real": 5000, "every": 5} if most == 1 else {"weight": 0.1} if most >= 50 else {}
    if problem.name == "image/cifar100" and most == 10:
        table |= {"weight": 0.1, "train_steps": 50}
    if problem.name in IMAGENET_SUBSETS:
        table |= {"weight": 3.0}
    return {**table, "steps": 20_000 * len(counts), "augment": augmented(problem)}


IMAGENET_SUBSETS = {f"image/image{name}" for name in ("nette", "woof", "fruit", "meow", "squawk", "yellow")}


IDM = Method(
    name="idm",
    summary="Class-wise means in a queue of half-trained networks, which judge the rows.",
    family=FAMILY,
    paper="Zhao, Li, Qin and Yu, Improved Distribution Matching for Dataset Condensation, CVPR 2023",
    options=IDMOptions,
    plan=_idm,
    presets={"quick": _idm_quick, "paper": _idm_paper},
    refuses=unbounded,
)

# ---------------------------------------------------------------------------------------------------------------------
# LQM


def _lqm(problem: Problem[Any], counts: Mapping[int, int], options: FeatureOptions) -> Plan:
    """Random real rows, then quantile matching."""
    from ..objectives.networks import Fresh
    from ..objectives.quantiles import QuantileMatching

    return optimised(options, QuantileMatching(**shared(problem, options), networks=Fresh(options.model)))


LQM = Method(
    name="lqm",
    summary="Quantiles of every feature in random networks.",
    family=FAMILY,
    paper="Wei, De Schepper and Mets, Dataset Condensation with Latent Quantile Matching, CVPR Workshops 2024",
    options=FeatureOptions,
    plan=_lqm,
    presets={"quick": _quick, "paper": _paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# NCFM


class NCFMOptions(ExpertOptions):
    """Characteristic functions against learned frequencies. Defaults: the paper and code of Wang et al. 2025; the learning rate,
    for rows of deviation 1, is four times that of pixels in [0, 1]."""

    lr: float = Field(0.004, gt=0, description="learning rate of the set (AdamW)")
    n_real: int = Field(1024, ge=1, description="real rows of each group in an update")
    frequencies: int = Field(4096, ge=2, description="frequencies in an update")
    sampler: Literal["normal", "learned"] = Field(
        "normal", description="where frequencies come from: noise, an adversary"
    )
    lr_sampler: float = Field(0.001, gt=0, description="learning rate of the frequency network (SGD, momentum 0.5)")
    calibration: float = Field(1.0, ge=0, description="weight of the loss under a trained expert")
    experts: int = Field(20, ge=1, description="networks that are trained on the real rows")
    epochs: int = Field(60, ge=1, description="epochs of their training (SGD 0.01, momentum 0.9, weight decay 5e-4)")
    size: int = Field(128, ge=1, description="real rows in a minibatch of their training")


def _ncfm(problem: Problem[Any], counts: Mapping[int, int], options: NCFMOptions) -> Plan:
    """Experts, random real rows, then characteristic functions."""
    import torch

    from ..objectives.characteristic import CharacteristicMatching
    from ..objectives.networks import Interpolated
    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    def objective(work: Work[Any]) -> CharacteristicMatching:
        found = work.results["experts"]
        return CharacteristicMatching(
            **shared(problem, options),
            networks=Interpolated(found),
            experts=found,
            frequencies=options.frequencies,
            learned=options.sampler == "learned",
            lr=options.lr_sampler,
            calibration=options.calibration,
        )

    adamw = partial(torch.optim.AdamW, lr=options.lr, weight_decay=5e-4)
    synthesise = Synthesise(objective, options.steps, adamw)
    return Plan((experts(options, options.model), *starting_rows(options.start), synthesise))


def _ncfm_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Few and short experts, updates, real rows and frequencies; larger steps."""
    few = {"steps": 150, "n_real": 64, "frequencies": 128, "experts": 3, "epochs": 10}
    return {**few, "lr": 0.05, "augment": augmented(problem)}


NCFM = Method(
    name="ncfm",
    summary="Characteristic functions of features, at random frequencies or those that an adversary learns.",
    family=FAMILY,
    paper="Wang, Yang, Liu, Sun, Hu, He and Zhang, Dataset Distillation with Neural Characteristic Function, CVPR 2025",
    options=NCFMOptions,
    plan=_ncfm,
    presets={"quick": _ncfm_quick, "paper": _paper},
    needs=("experts",),
)

# ---------------------------------------------------------------------------------------------------------------------
# WMDD


class WMDDOptions(Options):
    """Barycentres of real features under a teacher. Defaults: the code of Liu et al. 2025 on subsets of ImageNet."""

    steps: int = Field(2000, ge=1, description="updates of the set")
    lr: float = Field(0.25, gt=0, description="learning rate of the set (Adam, betas 0.5 and 0.9; a cosine down to 0)")
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real rows, or noise")
    augment: Literal["match", "none"] = Field("match", description="augmentation of the synthetic rows, or none")
    loss: float = Field(1.0, ge=0, description="weight of the teacher's loss on the set")
    layers: float = Field(0.01, ge=0, description="weight of the channel statistics of the teacher's layers")
    epochs: int = Field(50, ge=1, description="epochs of the teacher's training (SGD, momentum 0.9, weight decay 1e-4)")
    lr_teacher: float = Field(0.025, gt=0, description="learning rate of that training")
    size: int = Field(32, ge=1, description="real rows in a minibatch of that training")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _wmdd(problem: Problem[Any], counts: Mapping[int, int], options: WMDDOptions) -> Plan:
    """A teacher, its view of the classes, noise or random real rows, then barycentre matching."""
    import torch

    from ..experts import Training
    from ..objectives.barycentre import BarycentreMatching, class_targets
    from .coresets import starting_rows
    from .plan import Experts, Plan, Prepare, Synthesise

    def targets(work: Work[Any]) -> Any:
        return class_targets(work.problem, work.counts, work.results["experts"], work.rng("barycentres"))

    def objective(work: Work[Any]) -> BarycentreMatching:
        found, view = work.results["experts"], work.results["targets"]
        return BarycentreMatching(found, view, options.loss, options.layers, siamese(problem, options.augment))

    lr, epochs = options.lr_teacher, options.epochs
    training = Training(epochs, lr, momentum=0.9, weight_decay=1e-4, size=options.size, stride=epochs)
    adam = partial(torch.optim.Adam, lr=options.lr, betas=(0.5, 0.9))
    synthesise = Synthesise(objective, options.steps, adam, schedule=partial(cosine, steps=options.steps))
    teacher, view = Experts(1, training, options.model), Prepare("targets", targets)
    return Plan((teacher, view, *starting_rows(options.start), synthesise))


def cosine(step: int, steps: int) -> float:
    """From 1 down to 0."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def _wmdd_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """From real rows, with a teacher of 20 epochs; fewer and smaller updates, and heavier statistics of few layers."""
    few = {"steps": 500, "lr": 0.05, "start": "real", "epochs": 20}
    return {**few, "layers": 0.3, "augment": augmented(problem)}


WMDD = Method(
    name="wmdd",
    summary="Wasserstein barycentres of every class, as a teacher sees them.",
    family=FAMILY,
    paper="Liu, Li, Xing, Wang, Dalal, Li, He and Wang, Dataset Distillation via the Wasserstein Metric, ICCV 2025",
    options=WMDDOptions,
    plan=_wmdd,
    presets={"quick": _wmdd_quick, "paper": _paper},
    needs=("teacher",),
)

# ---------------------------------------------------------------------------------------------------------------------
# BACON


class BACONOptions(IDMOptions):
    """IDM with a likelihood for a distance. Defaults: the code of Zhou et al. 2024, which is IDM's."""

    variation: float = Field(0.8, ge=0, description="weight of the total variation, beside the likelihood")


def _bacon(problem: Problem[Any], counts: Mapping[int, int], options: BACONOptions) -> Plan:
    """Random real rows, then Bayesian matching."""
    from ..objectives.bayesian import BayesianMatching

    return _classwise(partial(BayesianMatching, variation=options.variation), problem, options)


BACON = Method(
    name="bacon",
    summary="A likelihood of class-wise means in a queue of half-trained networks.",
    family=FAMILY,
    paper="Zhou, Zhao, Cheng, Li, Lyu, Feng and Zhao, BACON: Bayesian Optimal Condensation Framework, 2024",
    options=BACONOptions,
    plan=_bacon,
    presets={"quick": _idm_quick, "paper": _idm_paper},
    refuses=unbounded,
)
