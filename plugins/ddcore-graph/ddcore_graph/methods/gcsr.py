"""GCSR: short trajectories on a self-expressive graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .clusters import cluster_means
from .frame import defaults, not_nodes
from .stages import Decode, Start, feature_adam, selected_features

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["GCSR", "GCSROptions", "class_structure"]


class GCSROptions(Options):
    """Self-expressive structure. Defaults: Liu et al. 2024, their code, where it has one for all graphs."""

    steps: int = Field(1000, ge=1, description="updates of the set")
    syn_steps: int = Field(5, ge=1, description="N: training steps on the set along one stretch")
    expert_epochs: int = Field(2, ge=1, description="M: epochs of the expert that they are matched with")
    max_start_epoch: int = Field(50, ge=1, description="a stretch starts before this epoch of the expert")
    lr: float = Field(1e-4, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    step_size: float = Field(0.01, gt=0, description="learning rate of training on the set")
    alpha: float = Field(1.0, gt=0, description="weight of the classes' structure P")
    beta: float = Field(1.0, gt=0, description="weight of Q")
    tau: float = Field(0.99, ge=0, le=1, description="decay of P's moving average")
    gamma: float = Field(0.5, ge=0, le=1, description="decay of Q's moving average")
    hops: int = Field(2, ge=0, description="propagations of the real features that the set starts from")
    experts: int = Field(100, ge=1, description="linear networks that are trained on the real graph")
    train_epochs: int = Field(100, ge=1, description="epochs of each expert's training (SGD)")
    lr_teacher: float = Field(0.5, gt=0, description="learning rate of the experts")
    threshold: float = Field(0.01, ge=0, description="edges of less weight are left out of the result")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: GCSROptions) -> Plan:
    """Linear experts, propagated features, then short stretches."""
    from ddcore.experts import Training
    from ddcore.methods.plan import Experts, Plan, Synthesise

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.self_expressive import SelfExpressiveGraph

        p = class_structure(work)
        return SelfExpressiveGraph(
            work.counts,
            selected_features(work),
            p,
            alpha=options.alpha,
            beta=options.beta,
            tau=options.tau,
            gamma=options.gamma,
        ).start_step_size(options.step_size)

    def objective(work: Work[Any]) -> Any:
        from ddcore.objectives.trajectory import TrajectoryMatching, Window

        window = Window(work.results["experts"], options.max_start_epoch, span=options.expert_epochs)
        return TrajectoryMatching(window, options.syn_steps, augment=None, memory="graph")

    rows = len(problem.data.ids())
    training = Training(options.train_epochs, options.lr_teacher, size=rows, augment=None)
    start = Start(lambda work: cluster_means(work, options.hops))
    adam = feature_adam(problem, options.lr)
    experts, matching = Experts(options.experts, training, "sgc"), Synthesise(objective, options.steps, adam)
    return Plan((experts, start, Start(make), matching, Decode(options.threshold)))


def class_structure(work: Work[Any]) -> Any:  # (N', N')
    """P: how often the labelled neighbours of a class are of each class, spread evenly over the nodes of that class."""
    import torch

    data, groups = work.problem.data, list(work.counts)
    graph = data.take(data.ids())
    place = {g: k for k, g in enumerate(groups)}
    c = torch.full((len(graph.x),), -1, device=graph.x.device)
    c[graph.rows] = torch.tensor([place.get(int(g), -1) for g in graph.y], device=c.device)
    counted = torch.eye(len(groups), device=c.device)  # a class is near itself, whatever is known
    source, target = graph.edges
    known = (c[source] >= 0) & (c[target] >= 0)
    counted.index_put_((c[target[known]], c[source[known]]), counted.new_ones(int(known.sum())), accumulate=True)
    share = counted / counted.sum(1, keepdim=True)
    of = torch.tensor([k for k, g in enumerate(groups) for _ in range(work.counts[g])], device=c.device)
    sizes = torch.bincount(of, minlength=len(groups))
    return (share / sizes)[of][:, of]


GCSR = Method(
    name="graph/gcsr",
    summary="Short trajectories; edges in closed form from how features express each other.",
    family="graph condensation",
    paper="Liu et al., Graph Data Condensation via Self-expressive Graph Structure Reconstruction, KDD 2024",
    options=GCSROptions,
    plan=plan,
    presets={
        "quick": lambda problem, counts: {
            "steps": 100,
            "experts": 5,
            "train_epochs": 60,
            "lr": 0.02,
            "step_size": 0.2,  # N steps go as far as M epochs
        },
        "paper": defaults,
    },
    needs=("experts",),
    refuses=not_nodes,
)
