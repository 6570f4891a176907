"""Trajectory matching that aligns what is matched with what the set can hold: DATM, PAD, SeqMatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..errors import OptionError
from .base import Method, fixed_labels, siamese
from .trajectory_matching import SETTINGS, MTTOptions, fits, learn_step_size, matching, published, quick, training

if TYPE_CHECKING:
    from ..experts import Training, Trajectory
    from ..parametrizations.base import Synthetic
    from ..problem import Problem
    from .plan import Plan, Stage, Synthesise, Work

__all__ = ["DATM", "PAD", "SEQMATCH", "DATMOptions", "PADOptions", "SeqMatchOptions"]


# ---------------------------------------------------------------------------------------------------------------------
# DATM


class DATMOptions(MTTOptions):
    """Difficulty-aligned trajectory matching. Defaults: Guo et al. 2024, the configuration of their code for CIFAR-10 at 1."""

    steps: int = Field(10_000, ge=1, description="updates of the set")
    syn_steps: int = Field(80, ge=1, description="N: training steps on the set along one stretch")
    min_start_epoch: int = Field(0, ge=0, description="T-: no stretch starts before this epoch")
    current_max_start_epoch: int = Field(4, ge=1, description="T: at first, stretches start before this epoch")
    max_start_epoch: int = Field(4, ge=1, description="T+: in the end, stretches start before this epoch")
    expansion_end_epoch: int = Field(1000, ge=1, description="update at which T has grown to T+")
    lr: float = Field(100.0, gt=0, description="learning rate of the rows (SGD, momentum 0.5)")
    lr_y: float = Field(5.0, gt=0, description="learning rate of the labels' logits (SGD, momentum 0.9)")
    threshold: float = Field(1.1, gt=0, description="a stretch whose loss is above is skipped")
    ema_decay: float = Field(0.995, ge=0, lt=1, description="decay of the moving average that is the result; 0: none")
    train_epochs: int = Field(100, ge=1, description="epochs of each expert's training")
    rho: float = Field(0.01, ge=0, description="radius of the experts' flat training (GSAM); 0: plain training")
    alpha: float = Field(0.3, ge=0, description="weight of GSAM's orthogonal part; 0: SAM")


@dataclass(frozen=True)
class KnownRows:
    """Real rows that the experts predict right."""

    def run(self, work: Work[Any]) -> None:
        """Leaves the rows as the set."""
        from ..experts.opinions import known_rows

        work.synthetic = known_rows(work.problem, work.counts, work.results["experts"], work.rng("select"))


def _learn(options: DATMOptions, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    """Step size and labels are learned, the labels from the experts' answers."""
    from ..experts.opinions import answers

    learn_step_size(options, work, synthetic)
    synthetic.learn_labels("probabilities", answers(work.problem, work.results["experts"], synthetic).softmax(-1))


def _aligned(problem: Problem[Any], options: DATMOptions, **more: Any) -> Synthesise:
    """The growing window, skipped stretches, learned labels and the average."""
    import torch

    from ..objectives.trajectory import AlignedMatching, GrowingWindow
    from .optimisers import per_group

    def make(experts: list[Trajectory], **how: Any) -> AlignedMatching:
        window = GrowingWindow(
            experts,
            options.max_start_epoch,
            options.min_start_epoch,
            options.expert_epochs,
            begin=options.current_max_start_epoch,
            over=options.expansion_end_epoch,
        )
        return AlignedMatching(window, threshold=options.threshold, **how, **more)

    rates = {"rows": options.lr, "labels": options.lr_y, "step_size": options.lr_lr / options.step_size**2}
    sgd = per_group(torch.optim.SGD, rates, momentum={"rows": 0.5, "labels": 0.9, "step_size": 0.5})
    ready = partial(_learn, options)
    return matching(problem, options, make, optimiser=sgd, ready=ready, averaging=options.ema_decay or None)


def _training(problem: Problem[Any], options: DATMOptions, **more: Any) -> Training:
    """Of the experts. Raises OptionError where the window is empty or begins after their end."""
    first, last, latest = options.min_start_epoch, options.max_start_epoch, options.train_epochs - options.expert_epochs
    if first >= last or first > latest >= 0:
        raise OptionError(
            f"min_start_epoch = {first}, max_start_epoch = {last}: stretches of {options.expert_epochs} epochs start from the "
            f"former on and before the latter, at epoch {latest} at the latest"
        )
    return training(problem, options, rho=options.rho, alpha=options.alpha, **more)


def _starting(options: DATMOptions) -> tuple[Stage, ...]:
    return (KnownRows(),) if options.start == "real" else ()


def _datm(problem: Problem[Any], counts: Mapping[int, int], options: DATMOptions) -> Plan:
    """Flat experts, rows that they know, then matching of stretches that suit the set."""
    from .plan import Experts, Plan

    experts = Experts(options.experts, _training(problem, options), options.model)
    return Plan((experts, *_starting(options), _aligned(problem, options)))


def _datm_setting(n: int, m: int, t: tuple[int, int, int], lr: float, lr_y: float, **more: Any) -> Mapping[str, Any]:
    first, now, last = t
    window = {"min_start_epoch": first, "current_max_start_epoch": now, "max_start_epoch": last}
    common = {"lr_lr": 1e-5, "threshold": 1.0, "ema_decay": 0.9995}
    return {"syn_steps": n, "expert_epochs": m, **window, "lr": lr, "lr_y": lr_y, **common, **more}


DATM_SETTINGS = {
    "cifar10": {
        1: _datm_setting(80, 2, (0, 4, 4), 100, 5.0, lr_lr=1e-7, threshold=1.1, ema_decay=0.995),
        10: _datm_setting(80, 2, (0, 10, 20), 100, 2.0),
        50: _datm_setting(80, 2, (0, 20, 40), 1e3, 2.0, batch_syn=500, expansion_end_epoch=2000, ema_decay=0.995),
        500: _datm_setting(40, 2, (40, 60, 60), 50, 2.0, batch_syn=1000),
        1000: _datm_setting(100, 2, (40, 60, 60), 50, 2.0, batch_syn=1000),
    },
    "cifar100": {
        1: _datm_setting(40, 3, (0, 10, 20), 1e3, 10.0),
        10: _datm_setting(80, 2, (0, 30, 50), 1e3, 10.0, batch_syn=1000, expansion_end_epoch=2000),
        50: _datm_setting(80, 2, (20, 70, 70), 1e3, 10.0, batch_syn=1000),
        100: _datm_setting(80, 2, (30, 70, 70), 50, 10.0, batch_syn=1000),
    },
    "tiny-imagenet": {
        1: _datm_setting(40, 2, (0, 15, 20), 1e4, 10.0, lr_lr=1e-4),
        10: _datm_setting(40, 2, (10, 50, 50), 100, 10.0, lr_lr=1e-4),
        50: _datm_setting(20, 2, (40, 70, 70), 100, 10.0, lr_lr=1e-4),
    },
}
"""The configurations of DATM's code."""

WINDOW = {"min_start_epoch": 0, "current_max_start_epoch": 2, "max_start_epoch": 4, "expansion_end_epoch": 50}
QUICK = {"memory": "graph", **WINDOW, "lr_y": 2.0, "threshold": 1.1, "ema_decay": 0.9}
DATM = Method(
    name="datm",
    summary="MTT with learned soft labels, from stretches as hard as the set can hold.",
    family="trajectory matching",
    paper="Guo et al., Towards Lossless Dataset Distillation via Difficulty-Aligned Trajectory Matching, ICLR 2024",
    options=DATMOptions,
    plan=_datm,
    presets={"quick": quick(**QUICK), "paper": published(DATM_SETTINGS)},
    needs=("experts",),
    refuses=fixed_labels,
)


# ---------------------------------------------------------------------------------------------------------------------
# PAD


class PADOptions(DATMOptions):
    """Prioritised alignment. Defaults: Li et al. 2024; DATM's for the rest."""

    first_part: float = Field(0.75, gt=0, le=1, description="part of the rows, the easiest, that experts see first")
    whole_epoch: int = Field(20, ge=0, description="epoch from which they see all")
    harder_epoch: int = Field(40, ge=0, description="epoch after which they see the easiest no more")
    easy_part: float = Field(0.1, ge=0, lt=1, description="the part that they then do not see")
    judges: int = Field(10, ge=1, description="networks whose error norm (EL2N) says how difficult a row is")
    judged_epochs: int = Field(20, ge=1, description="epochs of their training")
    dropped: float = Field(0.0, ge=0, lt=1, description="first part of the parameters, the shallow layers, not matched")


def _pad(problem: Problem[Any], counts: Mapping[int, int], options: PADOptions) -> Plan:
    """Rows are ranked by what judges say; then DATM's plan, with experts of a curriculum and over the deep layers."""
    from dataclasses import replace

    from ..experts import Curriculum
    from ..experts.opinions import by_difficulty
    from ..objectives.trajectory import Deep
    from .plan import Experts, Plan

    curriculum = Curriculum(options.first_part, options.whole_epoch, options.harder_epoch, options.easy_part)
    how = _training(problem, options, curriculum=curriculum)
    plain = replace(how, epochs=options.judged_epochs, stride=1, rho=0.0, alpha=0.0, curriculum=None)
    judges = Experts(options.judges, plain, options.model)

    def ranked(work: Work[Any]) -> Problem[Any]:
        return by_difficulty(work.problem, work.results["experts"])

    experts = Experts(options.experts, how, options.model, on=ranked)
    return Plan((judges, experts, *_starting(options), _aligned(problem, options, match=Deep(options.dropped))))


DROPPED = {1: 0.0, 10: 0.25, 50: 0.25, 500: 0.75}
"""ipc -> part of the parameters that is not matched."""


def _with_dropped(ipc: int, setting: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**setting, "dropped": DROPPED[max(known for known in DROPPED if known <= ipc)]}


PAD_SETTINGS = {
    name: {ipc: _with_dropped(ipc, setting) for ipc, setting in settings.items()}
    for name, settings in DATM_SETTINGS.items()
}
PAD = Method(
    name="pad",
    summary="DATM with experts that see easy rows first, over the deep layers alone.",
    family="trajectory matching",
    paper="Li et al., Prioritize Alignment in Dataset Distillation, arXiv 2408.03360, 2024",
    options=PADOptions,
    plan=_pad,
    presets={
        "quick": quick(**QUICK, whole_epoch=4, harder_epoch=7, judges=2, judged_epochs=2, dropped=0.25),
        "paper": published(PAD_SETTINGS),
    },
    needs=("experts",),
    refuses=fixed_labels,
)


# ---------------------------------------------------------------------------------------------------------------------
# SeqMatch


class SeqMatchOptions(MTTOptions):
    """Sequential subset matching. Defaults: Du et al. 2023, the script of their code; MTT's for the rest."""

    subsets: int = Field(2, ge=1, description="K: parts of the set, learned one after another")
    steps: int = Field(5000, ge=1, description="updates of each subset")
    subset_steps: int = Field(1000, ge=1, description="training steps on earlier subsets before later experts start")
    later_epochs: int = Field(20, ge=1, description="epochs of the experts of the later subsets")


def _after(parts: list[list[int]], options: SeqMatchOptions, work: Work[Any]) -> Problem[Any]:
    """The problem with networks that were trained on the subsets `parts` of the set so far."""
    import copy

    from ..objectives.sequential import after_subsets

    synthetic = copy.deepcopy(work.synthetic)
    assert synthetic is not None, "an earlier stage left a set"
    if work.resume is not None and work.resume["stage"] > work.stage:  # what was learned before an interruption
        synthetic.load_state_dict(work.resume["run"]["synthetic"])
    augment = siamese(work.problem, options.augment)
    return after_subsets(
        work.problem, synthetic, parts, steps=options.subset_steps, lr=options.step_size, augment=augment
    )


def _seqmatch(problem: Problem[Any], counts: Mapping[int, int], options: SeqMatchOptions) -> Plan:
    """Subset after subset, each with experts that start where training on the earlier ones ends."""
    from dataclasses import replace

    from ..objectives.sequential import SequentialMatching, subsets
    from ..objectives.trajectory import Window
    from .coresets import starting_rows
    from .plan import Experts, Plan, as_it_is

    parts, how = subsets(counts, options.subsets), training(problem, options)
    if options.subsets > 1:
        fits(options.expert_epochs, options.later_epochs, options.stride)
    stages: list[Stage] = [Experts(options.experts, how, options.model), *starting_rows(options.start)]
    for k in range(options.subsets):

        def make(experts: list[Trajectory], k: int = k, **how: Any) -> SequentialMatching:
            window = Window(experts, options.max_start_epoch, span=options.expert_epochs)
            return SequentialMatching(window, parts=parts[: k + 1], **how)

        if k == 0:
            stages.append(matching(problem, options, make))
        else:
            later = replace(how, epochs=options.later_epochs)
            stages.append(Experts(options.experts, later, options.model, on=partial(_after, parts[:k], options)))
            stages.append(matching(problem, options, make, ready=as_it_is))
    return Plan(tuple(stages))


def _subsets(counts: Mapping[int, int]) -> int:
    """Two, and three from 50 rows a class as in the script; one where a class has one row, which is MTT."""
    ipc = min(counts.values())
    return 1 if ipc == 1 else 2 if ipc < 50 else 3


def _seqmatch_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """MTT's quick preset, shared among the subsets."""
    number = _subsets(counts)
    settings = quick(memory="graph", subset_steps=50, later_epochs=5)(problem, counts)
    return {**settings, "subsets": number, "steps": settings["steps"] // number}


def _seqmatch_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """MTT's settings, with the learning rate of the script."""
    return {**published(SETTINGS)(problem, counts), "subsets": _subsets(counts), "lr": 100.0, "step_size": 0.01}


SEQMATCH = Method(
    name="seqmatch",
    summary="MTT on a set in parts, each learned from where the earlier ones leave the networks.",
    family="trajectory matching",
    paper="Du et al., Sequential Subset Matching for Dataset Distillation, NeurIPS 2023",
    options=SeqMatchOptions,
    plan=_seqmatch,
    presets={"quick": _seqmatch_quick, "paper": _seqmatch_paper},
    needs=("experts",),
)
