"""SER-BPTT: back-propagation through training from one known start, for small devices that recognise emotion in speech."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ddcore.methods.base import Method
from ddcore.methods.meta_learning import DDOptions, prescribed

from .begin import Begin, of_sound, real_rows

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["SER_BPTT"]


def plan(problem: Problem[Any], counts: Mapping[int, int], options: DDOptions) -> Plan:
    """Noise or random real rows and a random network, then back-propagation through that network's training on the rows."""
    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.meta import BackpropThroughTraining

    from ..fixed_start import FixedNetwork, FixedStart
    from ..sound import sound_of

    def begin(work: Any, start: Any) -> FixedStart:
        net = work.problem.new_model(work.rng("network"), options.model)
        rows = sound_of(work.problem).rows(sum(work.counts.values()), work.rng("start")) if start is None else start
        return FixedStart(work.counts, rows, dict(net.named_parameters()))

    stage = Synthesise(
        BackpropThroughTraining(n_real=options.n_real, networks=FixedNetwork(options.model)),
        options.steps,
        partial(torch.optim.Adam, lr=options.lr, betas=(0.5, 0.999)),
        ready=partial(prescribed, counts, options),
        schedule=lambda step: 0.5 ** (10 * step // options.steps),
    )
    return Plan((*real_rows(options.start), Begin(begin), stage))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates, through ten to twenty training steps with larger step sizes, from real rows."""
    ipc = max(counts.values())
    training = {"per_step": max(ipc // 5, 1), "epochs": max(10 // ipc, 2), "step_size": 0.1}
    return {"steps": 80 if ipc < 10 else 40, "n_real": 128, "start": "real", "lr": 0.05, **training}


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults: those of DD's code."""
    return {}


SER_BPTT = Method(
    name="audio/ser-bptt",
    summary="Back-propagation through training from one known start, which the set brings along.",
    family="meta-learning",
    paper="Chang et al., Breaking Resource Barriers in Speech Emotion Recognition via Data Distillation, Interspeech 2025",
    options=DDOptions,
    plan=plan,
    presets={"quick": _quick, "paper": _paper},
    refuses=of_sound,
)
