"""Meta-learning: what a network that was trained on the set gets wrong on real rows, differentiated through that training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat

from ..options import Options
from .base import Method, fixed_labels, siamese

if TYPE_CHECKING:
    from ..parametrizations.base import Synthetic
    from ..problem import Problem
    from .plan import Plan, Work

__all__ = [
    "DD",
    "LD",
    "RAT_BPTT",
    "RTP",
    "SLDD",
    "DDOptions",
    "LDOptions",
    "RaTOptions",
    "RTPOptions",
    "SLDDOptions",
    "prescribed",
]

FAMILY = "meta-learning"
FIRST = 0.125  # the step size that a search begins at


class MetaOptions(Options):
    """What the methods of the family share."""

    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real rows, or noise")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


# ---------------------------------------------------------------------------------------------------------------------
# DD and SLDD: a set that prescribes its own training


class DDOptions(MetaOptions):
    """Dataset distillation. Defaults: the code of Wang et al. 2018; `steps` is its 400 epochs on MNIST."""

    steps: int = Field(23_600, ge=1, description="updates of the set")
    lr: float = Field(0.01, gt=0, description="learning rate of rows and step sizes (Adam), halved ten times in a run")
    per_step: int = Field(1, ge=1, description="rows of each group in a training step: a data block")
    epochs: int = Field(3, ge=1, description="passes over the data blocks in one training")
    step_size: PositiveFloat | Literal["searched"] = Field(
        0.02,
        description="where every learned step size starts; searched: half the power of two that teaches a network most",
    )
    n_real: int = Field(1024, ge=1, description="real rows in an update")


class SLDDOptions(DDOptions):
    """Soft-label dataset distillation. Defaults: those of dd, and a code's label start that is kept off the corners."""

    lr_labels: float = Field(0.01, gt=0, description="learning rate of the labels' logits (Adam)")
    certainty: float = Field(0.9, gt=0, lt=1, description="probability of the own class that labels start from")


def prescribed(counts: Mapping[int, int], options: DDOptions, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    """Makes the set end training itself, as the options say."""
    blocks = -(-max(counts.values()) // options.per_step)
    searched = options.step_size == "searched"
    synthetic.prescribe(options.epochs * blocks, blocks, FIRST if searched else float(options.step_size))
    if searched:
        synthetic.start_step_size(_searched(work, synthetic, options))


def _searched(work: Work[Any], synthetic: Synthetic[Any], options: DDOptions) -> float:
    """From `FIRST` on, doubled or halved as long as that lowers the loss on real rows of a fresh network that was trained on
    the set as it starts."""
    import torch

    from ..inner import unroll

    problem, rng = work.problem, work.rng("step size")
    net, real = problem.new_model(rng, options.model), problem.data.sample(options.n_real, rng=rng)
    theta = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}

    def loss(step_size: float) -> float:
        synthetic.start_step_size(step_size)
        trained = unroll(problem, net, theta, synthetic, steps=synthetic.train_steps or 0, seed=0)
        found = float(problem.loss(net, real, {**theta, **trained}))
        return found if math.isfinite(found) else math.inf

    with torch.no_grad():
        best, least = FIRST, loss(FIRST)
        while least == math.inf and best > FIRST / 2**20:
            best, least = best / 2, loss(best / 2)
        for factor in (2.0, 0.5):
            while (found := loss(factor * best)) < least:
                best, least = factor * best, found
    return best / 2  # at the best itself training is about to leave stability, and moving rows push it over


def _prescribed_with_labels(
    counts: Mapping[int, int], options: SLDDOptions, work: Work[Any], synthetic: Synthetic[Any]
) -> None:
    hard = work.problem.task.targets(synthetic.batch())  # (rows, k)
    soft = options.certainty * hard + (1 - options.certainty) / hard.shape[1]
    synthetic.learn_labels("probabilities", soft)
    prescribed(counts, options, work, synthetic)


def _dd(ready: Any, problem: Problem[Any], counts: Mapping[int, int], options: DDOptions) -> Plan:
    """Noise or random real rows, then back-propagation through the training that the set prescribes."""
    import torch

    from ..objectives.meta import BackpropThroughTraining
    from ..objectives.networks import Fresh
    from .coresets import starting_rows
    from .optimisers import per_group
    from .plan import Plan, Synthesise

    objective = BackpropThroughTraining(n_real=options.n_real, networks=Fresh(options.model))
    rates = {"rows": options.lr, "labels": getattr(options, "lr_labels", options.lr), "step_size": options.lr}
    stage = Synthesise(
        objective,
        options.steps,
        per_group(torch.optim.Adam, rates, betas=(0.5, 0.999)),
        ready=partial(ready, counts, options),
        schedule=lambda step: 0.5 ** (10 * step // options.steps),
    )
    return Plan((*starting_rows(options.start), stage))


def _as_it_is(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults."""
    return {}


def _dd_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates, through 20 to 40 training steps with larger step sizes, from real rows."""
    ipc = max(counts.values())
    training = {"per_step": max(ipc // 10, 1), "epochs": max(20 // ipc, 4), "step_size": "searched"}
    return {"steps": 80 if ipc < 10 else 50, "n_real": 128, "start": "real", "lr": 0.05, **training}


DD = Method(
    name="dd",
    summary="Back-propagation through training on the set, with learned step sizes.",
    family=FAMILY,
    paper="Wang, Zhu, Torralba and Efros, Dataset Distillation, arXiv 2018",
    options=DDOptions,
    plan=partial(_dd, prescribed),
    presets={"quick": _dd_quick, "paper": _as_it_is},
)
SLDD = Method(
    name="sldd",
    summary="Back-propagation through training on rows, soft labels and step sizes that are all learned.",
    family=FAMILY,
    paper="Sucholutsky and Schonlau, Soft-Label Dataset Distillation and Text Dataset Distillation, IJCNN 2021",
    options=SLDDOptions,
    plan=partial(_dd, _prescribed_with_labels),
    presets={"quick": _dd_quick, "paper": _as_it_is},
    refuses=fixed_labels,
)


# ---------------------------------------------------------------------------------------------------------------------
# RaT-BPTT and RTP: long trainings, with any order of rows


class UnrolledOptions(MetaOptions):
    """A long training on minibatches of the set."""

    unroll: int = Field(200, ge=1, description="training steps of a network")
    size: int = Field(256, ge=1, description="rows a minibatch of that training")
    augment: Literal["train", "none"] = Field(
        "none", description="the problem's augmentation in that training, or none"
    )


class RaTOptions(UnrolledOptions):
    """Random truncated windows. Defaults: the command for CIFAR-10 in the code of Feng et al. 2024, without augmentation; `steps`
    is its 60,000 epochs of ten updates."""

    steps: int = Field(600_000, ge=1, description="updates of the set")
    lr: float = Field(0.001, gt=0, description="learning rate of the set (Adam)")
    window: int = Field(
        60, ge=1, description="training steps that are differentiated, the last ones before a drawn step"
    )
    step_size: float = Field(0.001, gt=0, description="learning rate of the networks (Adam)")
    n_real: int = Field(5000, ge=1, description="real rows in an update")
    clip: float = Field(2.0, gt=0, description="most that a gradient may be, in moving averages of its norm")


class RTPOptions(UnrolledOptions):
    """A long unroll with momentum. Defaults: the code of Deng and Russakovsky 2022."""

    steps: int = Field(500_000, ge=1, description="updates of the set")
    lr: float = Field(0.1, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    unroll: int = Field(150, ge=1, description="training steps of a network, all of them differentiated")
    step_size: float = Field(0.01, gt=0, description="learning rate of the networks (SGD, momentum 0.9)")
    n_real: int = Field(64, ge=1, description="real rows in an update")


def _trains_at(step_size: float, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    synthetic.start_step_size(step_size)


def _unrolled(problem: Problem[Any], options: RaTOptions | RTPOptions, optimiser: Any, **inner: Any) -> Plan:
    """Noise or random real rows, then back-propagation through a long training."""
    from ..objectives.meta import BackpropThroughTraining
    from ..objectives.networks import Fresh
    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    objective = BackpropThroughTraining(
        steps=options.unroll,
        n_real=options.n_real,
        size=options.size,
        augment=siamese(problem, options.augment),
        networks=Fresh(options.model),
        **inner,
    )
    ready = partial(_trains_at, options.step_size)
    return Plan((*starting_rows(options.start), Synthesise(objective, options.steps, optimiser, ready=ready)))


def _rat_bptt(problem: Problem[Any], counts: Mapping[int, int], options: RaTOptions) -> Plan:
    import torch

    from .optimisers import clipped

    adam = clipped(partial(torch.optim.Adam, lr=options.lr), options.clip)
    return _unrolled(problem, options, adam, rule="adam", window=options.window)


def _rtp(problem: Problem[Any], counts: Mapping[int, int], options: RTPOptions) -> Plan:
    import torch

    return _unrolled(problem, options, partial(torch.optim.SGD, lr=options.lr, momentum=0.5), rule="momentum")


def _rat_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Shorter trainings and windows, from real rows."""
    short = (
        {"steps": 100, "unroll": 40, "window": 8}
        if max(counts.values()) == 1
        else {"steps": 40, "unroll": 30, "window": 5}
    )
    return {**short, "n_real": 256, "start": "real", "lr": 0.03, "step_size": 0.01}


def _rtp_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Shorter trainings, from real rows."""
    short = {"steps": 130, "unroll": 10} if max(counts.values()) == 1 else {"steps": 40, "unroll": 6}
    return {**short, "n_real": 256, "start": "real", "lr": 10.0}


RAT_BPTT = Method(
    name="rat-bptt",
    summary="Back-propagation through a random window of a long training.",
    family=FAMILY,
    paper="Feng, Vedantam and Kempe, Embarrassingly Simple Dataset Distillation, ICLR 2024",
    options=RaTOptions,
    plan=_rat_bptt,
    presets={"quick": _rat_quick, "paper": _as_it_is},
)
RTP = Method(
    name="rtp",
    summary="Back-propagation through a long training with momentum.",
    family=FAMILY,
    paper="Deng and Russakovsky, Remember the Past: Distilling Datasets into Addressable Memories for Neural Networks, "
    "NeurIPS 2022",
    options=RTPOptions,
    plan=_rtp,
    presets={"quick": _rtp_quick, "paper": _as_it_is},
)


# ---------------------------------------------------------------------------------------------------------------------
# LD: real rows, learned labels


class LDOptions(Options):
    """Label distillation, the second-order variant. Defaults: the code of Bohdal et al. 2020; `lr` is for logits, where it
    moves probabilities; `steps` is 400 epochs on MNIST."""

    steps: int = Field(23_600, ge=1, description="updates of the labels")
    lr: float = Field(0.01, gt=0, description="learning rate of the labels' logits (Adam)")
    unroll: int = Field(1, ge=1, description="differentiated training steps of an update")
    step_size: float = Field(0.01, gt=0, description="learning rate of these steps (SGD)")
    size: int = Field(50, ge=1, description="rows a minibatch of the network's training")
    life: int = Field(
        100, ge=1, description="updates along the training of one network, one step (Adam, 0.001) after each"
    )
    n_real: int = Field(1024, ge=1, description="real rows in an update")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _labels_alone(step_size: float, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    hard = work.problem.task.targets(synthetic.batch())  # (rows, k)
    for leaf in synthetic.leaves():
        leaf.requires_grad_(False)
    synthetic.start_step_size(step_size).learn_labels("probabilities", hard.new_full(hard.shape, 1 / hard.shape[1]))


def _ld(problem: Problem[Any], counts: Mapping[int, int], options: LDOptions) -> Plan:
    """Random real rows, then back-propagation into their labels."""
    import torch

    from ..objectives.meta import BackpropThroughTraining
    from ..objectives.networks import Pool
    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    one = Pool(number=1, life=options.life, rule="adam", lr=1e-3, size=options.size, model=options.model)
    objective = BackpropThroughTraining(options.unroll, n_real=options.n_real, size=options.size, networks=one)
    adam, ready = partial(torch.optim.Adam, lr=options.lr), partial(_labels_alone, options.step_size)
    return Plan((*starting_rows("real"), Synthesise(objective, options.steps, adam, ready=ready)))


def _ld_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates with larger steps."""
    return {"steps": 500, "n_real": 128, "lr": 0.05}


LD = Method(
    name="ld",
    summary="Learned soft labels for real rows, through training on them.",
    family=FAMILY,
    paper="Bohdal, Yang and Hospedales, Flexible Dataset Distillation: Learn Labels Instead of Images, NeurIPS workshop 2020",
    options=LDOptions,
    plan=_ld,
    presets={"quick": _ld_quick, "paper": _as_it_is},
    refuses=fixed_labels,
)
