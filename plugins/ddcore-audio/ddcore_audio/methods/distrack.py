"""DisTrack: distribution matching of sound, in maps or in waveforms, with clips that are shorter and more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .begin import Begin, of_sound, real_rows

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["DISTRACK", "DisTrackOptions"]


class DisTrackOptions(Options):
    """Distribution matching of short clips. Defaults: the authors' code."""

    steps: int = Field(1000, ge=1, description="updates of the set")
    lr: float = Field(2.0, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    pieces: int = Field(1, ge=1, description="short clips that share the length, and the bytes, of one")
    start: Literal["noise", "real"] = Field("noise", description="where the set starts: noise, or random real rows")
    n_real: int = Field(64, ge=1, description="real rows of each class in an update")
    contrast: float = Field(0.2, ge=0, description="weight of the contrast between classes (InfoNCE); 0: none")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DisTrackOptions) -> Plan:
    """Noise or random real rows, as short clips where there are several a row, then distribution matching with contrast."""
    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.networks import Fresh

    from ..objectives import ContrastiveMeans
    from ..packed import ShortClips
    from ..sound import sound_of

    objective = ContrastiveMeans(n_real=options.n_real, weight=options.contrast, networks=Fresh(options.model))
    short = Begin(
        lambda work, start: ShortClips.of(
            work.counts, start, sound_of(work.problem), (1, options.pieces), work.rng("start")
        )
    )
    begin = (short,) if options.pieces > 1 else ()
    sgd = partial(torch.optim.SGD, lr=options.lr, momentum=0.5)
    return Plan((*real_rows(options.start, options.pieces), *begin, Synthesise(objective, options.steps, sgd)))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """150 updates from real rows."""
    return {"steps": 150, "start": "real"}


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults."""
    return {}


DISTRACK = Method(
    name="audio/distrack",
    summary="Class means of short clips in random networks, told apart from other classes'.",
    family="distribution matching",
    paper="DisTrack: dataset distillation for audio, 2025 (code: IsitaRex/DisTrack)",
    options=DisTrackOptions,
    plan=plan,
    presets={"quick": _quick, "paper": _paper},
    refuses=of_sound,
)
