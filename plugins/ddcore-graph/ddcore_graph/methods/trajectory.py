"""SFGC and GEOM: trajectory matching on nodes without edges."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method, Preset
from ddcore.options import Options

from .frame import defaults, not_nodes
from .gradient import without_edges
from .stages import Start, feature_adam

if TYPE_CHECKING:
    from ddcore.experts import Training
    from ddcore.loop import Objective
    from ddcore.methods.plan import Plan, Stage, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["GEOM", "SFGC", "GEOMOptions", "SFGCOptions"]

MODEL = "gcn-plain"
"""A GCN without dropout: a path that is to be followed is not to jump."""


class SFGCOptions(Options):
    """Trajectory matching on nodes. Defaults: Zheng et al. 2023, their code's for Cora."""

    steps: int = Field(2000, ge=1, description="updates of the set")
    syn_steps: int = Field(1000, ge=1, description="training steps on the set along one stretch")
    expert_epochs: int = Field(1500, ge=1, description="epochs of the expert that they are matched with")
    max_start_epoch: int = Field(40, ge=1, description="a stretch starts before this epoch of the expert")
    lr: float = Field(0.1, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    step_size: float = Field(0.5, gt=0, description="where the learned step size of training on the set starts")
    lr_step_size: float = Field(1e-3, ge=0, description="learning rate of the step size's logarithm (Adam)")
    experts: int = Field(20, ge=1, description="networks that are trained on the real graph; the paper has 200")
    train_epochs: int = Field(2500, ge=1, description="epochs of each expert's training (SGD)")
    lr_teacher: float = Field(0.4, gt=0, description="learning rate of the experts")
    stride: int = Field(10, ge=1, description="epochs between snapshots, which are kept in half precision")
    score_every: int = Field(20, ge=1, description="updates between two looks at what kernel regression makes of val")


def _training(problem: Problem[Any], options: SFGCOptions, **more: Any) -> Training:
    from ddcore.experts import Training

    rows = len(problem.data.ids())
    return Training(
        options.train_epochs, options.lr_teacher, size=rows, augment=None, stride=options.stride, half=True, **more
    )


def _features(problem: Problem[Any]) -> tuple[Stage, ...]:
    """The features of a k-center coreset."""
    from ddcore import selection
    from ddcore.methods.plan import Select

    def choose(problem: Problem[Any], counts: Mapping[int, int], rng: Any) -> Any:
        return selection.choose(problem, counts, selection.k_center, rng, epochs=100, model=MODEL)

    return (Select(choose), Start(without_edges))


def _matching(problem: Problem[Any], options: SFGCOptions, make: Any, ready: Any, lr_labels: float = 0.0) -> Stage:
    """The updates of the set; its best state by kernel regression is the result."""
    from ddcore.methods.optimisers import directed
    from ddcore.methods.plan import Synthesise

    from ..kernels.linear import Propagated
    from ..objectives.best import BestOnVal

    def objective(work: Work[Any]) -> Objective:
        kernel = work.problem.kernels.get("sntk", Propagated())  # a large graph has no other
        return BestOnVal(make(work.results["experts"]), kernel, options.score_every)

    adam = feature_adam(problem, options.lr, labels=lr_labels, step_size=options.lr_step_size)
    return Synthesise(objective, options.steps, directed(adam), ready=ready)


def _learn_step_size(options: SFGCOptions, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    synthetic.start_step_size(options.step_size)
    if options.lr_step_size:
        synthetic.learn_step_size()


def _sfgc(problem: Problem[Any], counts: Mapping[int, int], options: SFGCOptions) -> Plan:
    """Experts, a coreset's features, then stretches from their first epochs."""
    from ddcore.methods.plan import Experts, Plan
    from ddcore.objectives.trajectory import Window

    from ..objectives.trajectory import NodeTrajectoryMatching

    def make(experts: Any) -> NodeTrajectoryMatching:
        window = Window(experts, options.max_start_epoch, span=options.expert_epochs)
        return NodeTrajectoryMatching(window, options.syn_steps, augment=None)

    experts = Experts(options.experts, _training(problem, options), MODEL)
    return Plan((experts, *_features(problem), _matching(problem, options, make, partial(_learn_step_size, options))))


def _quick(**more: Any) -> Preset:
    """Three experts of 200 epochs; stretches of 100 epochs in 50 steps."""
    short = {"steps": 60, "syn_steps": 50, "expert_epochs": 100, "experts": 3, "train_epochs": 200}
    return lambda problem, counts: {**short, "lr": 0.03, **more}


def _published(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The commands of SFGC's code by data set, with 20 experts and SGD throughout: those of Cora for others."""
    table: Mapping[str, Mapping[str, Any]] = {
        "ogbn-arxiv": {"lr": 0.1, "train_epochs": 2000, "lr_teacher": 1.0, "expert_epochs": 1900},
        "citeseer": {"train_epochs": 800, "expert_epochs": 500},
        "flickr": {"lr": 0.01, "train_epochs": 1000, "expert_epochs": 900},
        "reddit": {"lr": 0.05, "train_epochs": 1000, "expert_epochs": 900},
    }
    return table.get(problem.name.rpartition("/")[2], {})


SFGC = Method(
    name="graph/sfgc",
    summary="Long trainings on nodes without edges follow those on the real graph.",
    family="graph condensation",
    paper="Zheng et al., Structure-free Graph Condensation, NeurIPS 2023",
    options=SFGCOptions,
    plan=_sfgc,
    presets={"quick": _quick(), "paper": _published},
    needs=("experts",),
    refuses=not_nodes,
)


# ---------------------------------------------------------------------------------------------------------------------
# GEOM


class GEOMOptions(SFGCOptions):
    """Trajectory matching with curricula and soft labels. Defaults: Zhang et al. 2024, their code's for Cora at 2.6 %."""

    syn_steps: int = Field(2500, ge=1, description="training steps on the set along one stretch")
    expert_epochs: int = Field(1400, ge=1, description="epochs of the expert that they are matched with")
    min_start_epoch: int = Field(50, ge=1, description="a stretch starts before this epoch at first")
    max_start_epoch: int = Field(200, ge=1, description="and one epoch later with each update, up to this one")
    lr: float = Field(0.01, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    lr_labels: float = Field(1e-3, gt=0, description="learning rate of the labels' logits (Adam)")
    beta: float = Field(0.01, ge=0, description="weight of what the experts know of the nodes")
    easy: float = Field(
        0.75, gt=0, le=1, description="lambda: part of the nodes of each class, the easiest, in the first epoch"
    )
    whole: int = Field(1500, ge=1, description="T: the epoch from which the experts see all of them")


def _geom(problem: Problem[Any], counts: Mapping[int, int], options: GEOMOptions) -> Plan:
    """Experts that see easy nodes first, a coreset's features with an expert's labels, then stretches of a growing window."""
    from ddcore.experts import Curriculum
    from ddcore.methods.plan import Experts, Plan
    from ddcore.objectives.trajectory import GrowingWindow

    from ..difficulty import easy_first
    from ..objectives.trajectory import KnowledgeEmbedding

    def make(experts: Any) -> KnowledgeEmbedding:
        begin, last = options.min_start_epoch, max(options.max_start_epoch, options.min_start_epoch)
        window = GrowingWindow(experts, last, span=options.expert_epochs, begin=begin, over=max(last - begin, 1))
        return KnowledgeEmbedding(window, options.syn_steps, augment=None, experts=experts, beta=options.beta)

    def ready(work: Work[Any], synthetic: Synthetic[Any]) -> None:
        _learn_step_size(options, work, synthetic)
        if synthetic.label_kind == "ids":
            synthetic.learn_labels("probabilities", _opinions(work, synthetic))

    curriculum = Curriculum(options.easy, options.whole, harder=options.train_epochs, dropped=0.0)
    training = _training(problem, options, curriculum=curriculum)
    experts = Experts(options.experts, training, MODEL, on=lambda work: easy_first(work.problem))
    return Plan((experts, *_features(problem), _matching(problem, options, make, ready, options.lr_labels)))


def _opinions(work: Work[Any], synthetic: Synthetic[Any]) -> Any:  # (N', k)
    """An expert's probabilities of the nodes, whose class is made the likeliest."""
    import torch

    from ddcore.objectives.networks import trained

    batch = synthetic.batch()
    with torch.no_grad():
        p = trained(work.problem, work.results["experts"], work.rng("labels")).eval()(batch).logits.softmax(1)
    rows, likeliest = torch.arange(len(p)), p.argmax(1)
    p[rows, likeliest], p[rows, batch.y] = p[rows, batch.y].clone(), p[rows, likeliest].clone()
    return p


GEOM = Method(
    name="graph/geom",
    summary="SFGC with experts that see easy nodes first, a growing window and soft labels.",
    family="graph condensation",
    paper="Zhang et al., Navigating Complexity: Toward Lossless Graph Condensation via Expanding Window Matching, ICML 2024",
    options=GEOMOptions,
    plan=_geom,
    presets={
        "quick": _quick(min_start_epoch=10, max_start_epoch=50, whole=100),
        "paper": defaults,
    },
    needs=("experts",),
    refuses=not_nodes,
)
