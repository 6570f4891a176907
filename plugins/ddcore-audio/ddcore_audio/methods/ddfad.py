"""DDFAD: trajectory matching of cepstra with their differences, from which waveforms are recovered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.methods.trajectory_matching import MTTOptions, matching, quick, training, window

from .begin import Begin, of_sound, real_rows

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["DDFAD", "DDFADOptions"]


class DDFADOptions(MTTOptions):
    """MTT on FD-MFCC. Defaults: MTT's."""

    planes: Literal["free", "tied"] = Field(
        "free",
        description="differences are learned as planes of their own, or follow from the cepstra, a third of the bytes",
    )


def _of_cepstra(problem: Problem[Any]) -> str | None:
    reason = of_sound(problem)
    if reason is None:
        sound: Any = problem.synthetic
        if sound.waveforms or sound.frontend.kind != "mfcc":
            return "it matches maps of cepstra and their differences: --set problem.frontend=mfcc"
    return reason


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DDFADOptions) -> Plan:
    """Experts, random real rows, then trajectory matching of the cepstra, or of all three planes."""
    from ddcore.methods.plan import Experts, Plan
    from ddcore.objectives.trajectory import TrajectoryMatching

    from ..cepstra import Cepstra
    from ..sound import sound_of

    def tied(work: Any, start: Any) -> Cepstra:
        sound = sound_of(work.problem)
        rows = sound.rows(sum(work.counts.values()), work.rng("start")) if start is None else start
        return Cepstra(work.counts, rows, sound)

    experts = Experts(options.experts, training(problem, options), options.model)
    begin = (Begin(tied),) if options.planes == "tied" else ()
    update = matching(problem, options, lambda experts, **how: TrajectoryMatching(window(experts, options), **how))
    return Plan((experts, *real_rows(options.start), *begin, update))


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """MTT's settings for CIFAR-10 at 1, or from 10 rows a class at 10."""
    many = {"syn_steps": 30, "max_start_epoch": 20, "lr_lr": 1e-5, "step_size": 1e-3}
    return many if max(counts.values()) >= 10 else {}


DDFAD = Method(
    name="audio/ddfad",
    summary="Trajectory matching of cepstra with their differences (FD-MFCC), which can be played back.",
    family="trajectory matching",
    paper="Jiang et al., DDFAD: Dataset Distillation Framework for Audio Data, arXiv 2407.10446, 2024",
    options=DDFADOptions,
    plan=plan,
    presets={"quick": quick(memory="graph"), "paper": _paper},
    needs=("experts",),
    refuses=_of_cepstra,
)
