"""Trajectory matching by other choices of what is matched: ATT, PP, MCT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from .base import Method
from .trajectory_matching import SETTINGS, MTTOptions, plan, published, quick, setting, window

if TYPE_CHECKING:
    from ..experts import Trajectory
    from ..problem import Problem
    from .plan import Plan

__all__ = ["ATT", "MCT", "PP", "ATTOptions", "MCTOptions", "PPOptions"]


# ---------------------------------------------------------------------------------------------------------------------
# ATT


class ATTOptions(MTTOptions):
    """MTT with as many student steps as suit. Defaults: Liu et al. 2024, the commands of their code for CIFAR-10 at 1."""

    ema_decay: float = Field(0.0, ge=0, lt=1, description="decay of the moving average that is the result; 0: none")


def _att(problem: Problem[Any], counts: Mapping[int, int], options: ATTOptions) -> Plan:
    """The step of the student that comes closest to the target is matched."""
    from ..objectives.trajectory import AdaptiveMatching

    def make(experts: list[Trajectory], **how: Any) -> AdaptiveMatching:
        return AdaptiveMatching(window(experts, options), **how)

    return plan(problem, options, make, averaging=options.ema_decay or None)


ATT_SETTINGS = {
    "cifar10": {
        1: setting(80, 4, 2, 1e2, 1e-7, steps=6000, ema_decay=0.9999),
        10: setting(30, 2, 20, 1e4, 1e-4, steps=60_000, ema_decay=0.9999),
        50: setting(50, 2, 40, 1e2, 1e-5, 1e-3, steps=1_000_000, ema_decay=0.999),
    },
    "cifar100": {
        1: setting(50, 4, 20, 500, 1e-5, steps=3000, ema_decay=0.9995),
        10: setting(20, 2, 40, 1e3, 1e-5, steps=200_000, ema_decay=0.9995),
        50: setting(80, 2, 40, 1e3, 1e-5, steps=100_000, ema_decay=0.999, batch_syn=1200),
    },
}
"""The commands of ATT's code."""

ATT = Method(
    name="att",
    summary="MTT with the student's step that comes closest to the target, whichever it is.",
    family="trajectory matching",
    paper="Liu et al., Dataset Distillation by Automatic Training Trajectories, ECCV 2024",
    options=ATTOptions,
    plan=_att,
    presets={"quick": quick(memory="graph", syn_steps=15), "paper": published(ATT_SETTINGS)},
    needs=("experts",),
)


# ---------------------------------------------------------------------------------------------------------------------
# PP


class PPOptions(MTTOptions):
    """MTT without the parameters that are hard to match. Defaults: Li et al. 2022; MTT's for the rest."""

    threshold: float = Field(0.1, ge=-1, lt=1, description="least ratio of the smaller to the larger of two parameters")


def _pp(problem: Problem[Any], counts: Mapping[int, int], options: PPOptions) -> Plan:
    """MTT's plan over the parameters that are similar."""
    from ..objectives.trajectory import Similar, TrajectoryMatching

    def make(experts: list[Trajectory], **how: Any) -> TrajectoryMatching:
        return TrajectoryMatching(window(experts, options), match=Similar(options.threshold), **how)

    return plan(problem, options, make)


PP = Method(
    name="pp",
    summary="MTT over the parameters that the student can match; the others are pruned.",
    family="trajectory matching",
    paper="Li et al., Dataset Distillation Using Parameter Pruning, arXiv 2209.14609, 2022",
    options=PPOptions,
    plan=_pp,
    presets={"quick": quick(memory="graph"), "paper": published(SETTINGS)},
    needs=("experts",),
)


# ---------------------------------------------------------------------------------------------------------------------
# MCT


class MCTOptions(MTTOptions):
    """MTT along straight lines. Defaults: Zhong et al. 2025, the commands of their code for CIFAR-10 at 1."""


def _mct(problem: Problem[Any], counts: Mapping[int, int], options: MCTOptions) -> Plan:
    """MTT's objective on stretches of the line between an expert's start and end."""
    from ..objectives.trajectory import Lines, TrajectoryMatching, convexify

    def make(experts: list[Trajectory], **how: Any) -> TrajectoryMatching:
        lines = Lines([convexify(e) for e in experts], options.max_start_epoch, options.expert_epochs)
        return TrajectoryMatching(lines, **how)

    return plan(problem, options, make)


MCT_SETTINGS = {
    "cifar10": {
        1: setting(60, 6, 4, 1e3, 1e-7),
        10: setting(30, 15, 8, 1e3, 1e-5),
        50: setting(30, 2, 40, 1e3, 1e-5, 1e-3),
    },
}
"""The commands of MCT's code."""

MCT = Method(
    name="mct",
    summary="MTT along the straight line between an expert's start and end, from any point of it.",
    family="trajectory matching",
    paper="Zhong et al., Towards Stable and Storage-efficient Dataset Distillation: Matching Convexified Trajectory, CVPR 2025",
    options=MCTOptions,
    plan=_mct,
    presets={"quick": quick(memory="graph", expert_epochs=2), "paper": published(MCT_SETTINGS)},
    needs=("experts",),
)
