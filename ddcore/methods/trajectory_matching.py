"""Trajectory matching: the frame that its methods share, MTT, TESLA and FTD."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..errors import OptionError
from ..options import Options
from .base import Method, Preset, siamese

if TYPE_CHECKING:
    from ..experts import Training, Trajectory
    from ..loop import Objective
    from ..objectives.trajectory import Window
    from ..parametrizations.base import Synthetic
    from ..problem import Problem
    from .plan import Plan, Synthesise, Work

__all__ = [
    "FTD",
    "MTT",
    "TESLA",
    "FTDOptions",
    "MTTOptions",
    "TESLAOptions",
    "TrajectoryOptions",
    "fits",
    "learn_step_size",
    "matching",
    "plan",
    "published",
    "quick",
    "setting",
    "training",
    "window",
]


# ---------------------------------------------------------------------------------------------------------------------
# the frame


class TrajectoryOptions(Options):
    """Experts, students and the set's learning rates. Defaults: Cazenavette et al. 2022, their code's for CIFAR-10 at 1."""

    steps: int = Field(5000, ge=1, description="updates of the set")
    syn_steps: int = Field(50, ge=1, description="N: training steps on the set along one stretch")
    expert_epochs: int = Field(2, ge=1, description="M: epochs of the expert that they are matched with")
    max_start_epoch: int = Field(2, ge=1, description="T+: a stretch starts before this epoch of the expert")
    batch_syn: int = Field(0, ge=0, description="synthetic rows in a training step; 0: the whole set")
    lr: float = Field(1000.0, gt=0, description="learning rate of the rows (SGD, momentum 0.5)")
    step_size: float = Field(0.01, gt=0, description="eta: where the learned step size of training on the set starts")
    lr_lr: float = Field(1e-7, ge=0, description="learning rate of the step size, in its own unit (SGD, momentum 0.5)")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    augment: Literal["train", "none"] = Field("train", description="augmentation of experts and students, or none")
    experts: int = Field(100, ge=1, description="networks that are trained on the real rows")
    train_epochs: int = Field(50, ge=1, description="epochs of each expert's training")
    lr_teacher: float = Field(0.01, gt=0, description="learning rate of the experts (SGD)")
    batch_train: int = Field(256, ge=1, description="real rows in a minibatch of the experts")
    stride: int = Field(1, ge=1, description="epochs between two snapshots of an expert that are kept")
    half: bool = Field(False, description="whether snapshots are stored in half precision")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


class MTTOptions(TrajectoryOptions):
    """Matching training trajectories."""

    memory: Literal["replay", "graph"] = Field(
        "replay",
        description="replay: no more memory for more steps, but more time; graph: all steps in memory",
    )


Make = Callable[..., "Objective"]
"""(experts, steps=, size=, augment=) -> the objective"""


def training(problem: Problem[Any], options: TrajectoryOptions, **more: Any) -> Training:
    """How the experts are trained. Raises OptionError where a stretch does not fit them."""
    from ..experts import Training

    fits(options.expert_epochs, options.train_epochs, options.stride)
    return Training(
        options.train_epochs,
        options.lr_teacher,
        size=options.batch_train,
        augment=siamese(problem, options.augment),
        stride=options.stride,
        half=options.half,
        **more,
    )


def fits(stretch: int, epochs: int, stride: int) -> None:
    """Raises OptionError where a stretch of that many epochs has no place between two snapshots of an expert."""
    if stretch > epochs or stretch % stride:
        raise OptionError(
            f"a stretch of expert_epochs = {stretch} does not fit experts of {epochs} epochs, with a snapshot each {stride}: "
            "train longer experts, or match a multiple of their stride"
        )


def learn_step_size(options: TrajectoryOptions, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    """The set learns its step size, from eta."""
    import math

    synthetic.log_step_size.data.fill_(math.log(options.step_size))
    synthetic.learn_step_size()


def matching(problem: Problem[Any], options: TrajectoryOptions, make: Make, **more: Any) -> Synthesise:
    """The updates of the set. It learns log eta, which `lr_lr / eta^2` moves as `lr_lr` moves eta, where eta is as at first."""
    import torch

    from .optimisers import per_group
    from .plan import Synthesise

    student: dict[str, Any] = {
        "steps": options.syn_steps,
        "size": options.batch_syn or None,
        "augment": siamese(problem, options.augment),
    }
    student |= options.model_dump(include={"memory"})
    rates = {"rows": options.lr, "step_size": options.lr_lr / options.step_size**2}
    how: dict[str, Any] = {
        "optimiser": per_group(torch.optim.SGD, rates, momentum=0.5),
        "ready": partial(learn_step_size, options),
        **more,
    }
    return Synthesise(lambda work: make(work.results["experts"], **student), options.steps, **how)


def plan(
    problem: Problem[Any], options: TrajectoryOptions, make: Make, flat: Mapping[str, float] = {}, **more: Any
) -> Plan:
    """Experts, random real rows, then trajectory matching."""
    from .coresets import starting_rows
    from .plan import Experts, Plan

    experts = Experts(options.experts, training(problem, options, **flat), options.model)
    return Plan((experts, *starting_rows(options.start), matching(problem, options, make, **more)))


def window(experts: list[Trajectory], options: TrajectoryOptions) -> Window:
    """Stretches of M epochs from any epoch before T+."""
    from ..objectives.trajectory import Window

    return Window(experts, options.max_start_epoch, span=options.expert_epochs)


def quick(**more: Any) -> Preset:
    """Few experts of few epochs and short stretches; `more` is the method's own."""

    def preset(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
        """Five experts of ten epochs, ten steps of the student; easier and shorter stretches for one row a class."""
        many = max(counts.values()) > 1
        return {
            "steps": 60,
            "syn_steps": 10,
            "expert_epochs": 2 if many else 1,
            "max_start_epoch": 8 if many else 2,
            "batch_syn": 50 if many else 0,
            "lr": 30.0 if many else 10.0,
            "step_size": 0.05,
            "lr_lr": 1e-5,
            "augment": "none",
            "experts": 5,
            "train_epochs": 10,
            "lr_teacher": 0.05,
            "batch_train": 64,
            **more,
        }

    return preset


def published(table: Mapping[str, Mapping[int, Mapping[str, Any]]], **more: Any) -> Preset:
    """The settings of a paper by data set and rows a class, those of CIFAR-10 for data it does not name, and those of the next
    smaller set in between; `more` holds for all."""

    def preset(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
        settings = table.get(problem.name.rpartition("/")[2], table["cifar10"])
        known = [ipc for ipc in settings if ipc <= max(counts.values())]
        augment = {} if "train" in problem.augmentations else {"augment": "none"}
        return {**more, **settings[max(known, default=min(settings))], **augment}

    return preset


def setting(n: int, m: int, last: int, lr: float, lr_lr: float, eta: float = 0.01, **more: Any) -> Mapping[str, Any]:
    """The options of one line of a paper's table."""
    stretch = {"syn_steps": n, "expert_epochs": m, "max_start_epoch": last}
    return {**stretch, "lr": lr, "lr_lr": lr_lr, "step_size": eta, **more}


# ---------------------------------------------------------------------------------------------------------------------
# MTT and TESLA


def _mtt(problem: Problem[Any], counts: Mapping[int, int], options: MTTOptions) -> Plan:
    """A stretch from any epoch before T+."""
    from ..objectives.trajectory import TrajectoryMatching

    return plan(problem, options, lambda experts, **how: TrajectoryMatching(window(experts, options), **how))


SUBSETS = ("imagenette", "imagewoof", "imagefruit", "imagemeow", "imagesquawk", "imageyellow")
SETTINGS: Mapping[str, Mapping[int, Mapping[str, Any]]] = {
    "cifar10": {
        1: setting(50, 2, 2, 1e3, 1e-7),
        10: setting(30, 2, 20, 1e3, 1e-5, 1e-3),
        50: setting(30, 2, 40, 1e3, 1e-5, 1e-3),
    },
    "cifar100": {
        1: setting(20, 3, 20, 1e3, 1e-5),
        10: setting(20, 2, 40, 1e3, 1e-5),
        50: setting(80, 2, 40, 1e3, 1e-5, batch_syn=125),
    },
    **{name: {1: setting(20, 2, 10, 1e3, 1e-6)} for name in SUBSETS},
}
"""N, M, T+, learning rates and eta of the commands of MTT's code."""

MTT = Method(
    name="mtt",
    summary="Training on the set follows experts over many steps.",
    family="trajectory matching",
    paper="Cazenavette et al., Dataset Distillation by Matching Training Trajectories, CVPR 2022",
    options=MTTOptions,
    plan=_mtt,
    presets={"quick": quick(memory="graph"), "paper": published(SETTINGS)},
    needs=("experts",),
)


class TESLAOptions(TrajectoryOptions):
    """MTT in constant memory. Defaults: MTT's, with the 10,000 updates of Cui et al. 2023."""

    steps: int = Field(10_000, ge=1, description="updates of the set")


def _tesla(problem: Problem[Any], counts: Mapping[int, int], options: TESLAOptions) -> Plan:
    """MTT's plan with the accumulated gradient."""
    from ..objectives.trajectory import Tesla

    return plan(problem, options, lambda experts, **how: Tesla(window(experts, options), **how))


TESLA = Method(
    name="tesla",
    summary="MTT's loss with a gradient that is accumulated step by step, in the memory of one.",
    family="trajectory matching",
    paper="Cui et al., Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, ICML 2023",
    options=TESLAOptions,
    plan=_tesla,
    presets={"quick": quick(), "paper": published(SETTINGS)},
    needs=("experts",),
)


# ---------------------------------------------------------------------------------------------------------------------
# FTD


class FTDOptions(MTTOptions):
    """MTT on flat experts. Defaults: Du et al. 2023, the scripts of their code."""

    rho: float = Field(0.01, ge=0, description="radius of the experts' flat training (GSAM); 0: plain training")
    alpha: float = Field(0.4, ge=0, description="weight of GSAM's orthogonal part; 0: SAM")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="decay of the moving average that is the result; 0: none")


def _ftd(problem: Problem[Any], counts: Mapping[int, int], options: FTDOptions) -> Plan:
    """MTT's objective on experts of flat training; the result is the set's average."""
    from ..objectives.trajectory import TrajectoryMatching

    def make(experts: list[Trajectory], **how: Any) -> TrajectoryMatching:
        return TrajectoryMatching(window(experts, options), **how)

    flat = {"rho": options.rho, "alpha": options.alpha}
    return plan(problem, options, make, flat, averaging=options.ema_decay or None)


FTD_SETTINGS = {
    "cifar10": {
        **SETTINGS["cifar10"],
        1: setting(50, 2, 2, 100, 1e-7),
        10: setting(30, 2, 20, 100, 1e-5, 1e-3),
    },
    "cifar100": {**SETTINGS["cifar100"], 10: setting(20, 2, 40, 1e3, 1e-5)},
}
FTD = Method(
    name="ftd",
    summary="MTT with experts of flat training, whose paths forgive small errors.",
    family="trajectory matching",
    paper="Du et al., Minimizing the Accumulated Trajectory Error to Improve Dataset Distillation, CVPR 2023",
    options=FTDOptions,
    plan=_ftd,
    presets={"quick": quick(memory="graph", ema_decay=0.9), "paper": published(FTD_SETTINGS, ema_decay=0.9995)},
    needs=("experts",),
)
