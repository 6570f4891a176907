"""KWS-IDC: gradient matching of maps that each hold several, for keyword spotting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method, siamese
from ddcore.methods.gradient_matching import IDCOptions

from .begin import Begin, of_sound, real_rows

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["KWS_IDC", "KWSOptions"]


class KWSOptions(IDCOptions):
    """IDC with its packing. Defaults: those of idc, and the two pieces along each side of Kim et al. 2022."""

    factor: int = Field(2, ge=1, description="pieces of a stored map along its bands, and along its frames")


def _of_maps(problem: Problem[Any]) -> str | None:
    reason = of_sound(problem)
    if reason is None and problem.synthetic.waveforms:  # type: ignore[attr-defined]
        return "its rows are waveforms, and maps are packed: --set problem.domain=maps"
    return reason


def plan(problem: Problem[Any], counts: Mapping[int, int], options: KWSOptions) -> Plan:
    """Random real rows as pieces of maps, then an update for each class in turn."""
    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.gradient import GroupwiseMatching
    from ddcore.objectives.networks import TrainedOnReal

    from ..packed import Formations
    from ..sound import sound_of

    f = options.factor
    packed = Begin(
        lambda work, start: Formations.of(work.counts, start, sound_of(work.problem), (f, f), work.rng("start"))
    )
    begin = (packed,) if f > 1 else ()
    networks = TrainedOnReal(
        outer=options.outer, steps=options.inner, lr=options.lr_net, size=options.batch, model=options.model
    )
    objective = GroupwiseMatching(
        n_real=options.n_real, distance=options.distance, augment=siamese(problem, options.augment), networks=networks
    )
    sgd = partial(torch.optim.SGD, lr=options.lr, momentum=0.5)
    return Plan((*real_rows(options.start, f * f), *begin, Synthesise(objective, options.steps, sgd)))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Forty rounds of the classes, twenty from ten rows a class; the learning rate grows with the rows."""
    ipc = max(counts.values())
    return {
        "steps": (40 if ipc < 10 else 20) * len(counts),
        "outer": 10,
        "inner": 2,
        "lr": min(ipc / 10, 1.0),
        "n_real": 32,
    }


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """IDC's 2,000 networks of 100 rounds, with its learning rate for larger sets."""
    return {"steps": 200_000 * len(counts), "inner": 8, "lr": 5e-3 * max(counts.values()) / 10}


KWS_IDC = Method(
    name="audio/kws-idc",
    summary="Gradient matching of packed maps: each holds several small ones of its class.",
    family="gradient matching",
    paper="Pereira, Beccaro and Ramirez, Advantages and Pitfalls of Dataset Condensation: An Approach to Keyword Spotting "
    "with Time-Frequency Representations, Electronics 13(11), 2024",
    options=KWSOptions,
    plan=plan,
    presets={"quick": _quick, "paper": _paper},
    refuses=_of_maps,
)
