"""CTRL, MSGC and SGDD: GCond with another distance, with several structures, with a graphon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method, Preset

from .frame import defaults, not_nodes
from .gradient import GraphOptions, alternating, beginning, with_pairs
from .stages import Decode, Start, feature_adam, selected_features

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["CTRL", "MSGC", "SGDD", "CTRLOptions", "MSGCOptions", "SGDDOptions"]


def _quick(**more: Any) -> Preset:
    """GCond's quick preset, and the method's own."""
    settings = {"steps": 200, "inner": 10, "lr": 0.1, "lr_structure": 1e-3, "degree": 1.0}
    settings |= {"structure_turns": 1, "feature_turns": 4, **more}
    return lambda problem, counts: settings


def _plan(
    problem: Problem[Any],
    options: GraphOptions,
    make: Any,
    objective: Any = None,
    averaging: float | None = None,
    **more: Any,
) -> Plan:
    """GCond's plan with another parametrization or objective."""
    from ddcore.methods.plan import Plan, Synthesise

    from ..objectives.gradient import NodeGradientMatching
    from ..objectives.networks import TrainedOnGraph

    networks = TrainedOnGraph(options.outer, options.inner, options.lr_net, options.model)
    matching = (objective or NodeGradientMatching)(
        n_real=options.n_real, distance=options.distance, networks=networks, **more
    )
    moves = alternating(options.outer, options.structure_turns, options.feature_turns)
    adam = feature_adam(problem, options.lr, structure=options.lr_structure)
    synthesise = Synthesise(matching, options.steps, adam, moves=moves, averaging=averaging)
    return Plan((*beginning(options.start), Start(make), synthesise, Decode(options.threshold)))


# ---------------------------------------------------------------------------------------------------------------------
# CTRL


class CTRLOptions(GraphOptions):
    """GCond with directions and lengths of gradients. Defaults: Zhang et al. 2024, their code."""

    beta: float = Field(0.2, ge=0, le=1, description="part of the lengths in the distance")
    start: Literal["real", "k-means"] = Field(
        "k-means", description="where the features start: random real nodes, or the means of clusters of each class"
    )


def _ctrl(problem: Problem[Any], counts: Mapping[int, int], options: CTRLOptions) -> Plan:
    from ..objectives.gradient import DirectionAndLength

    return _plan(problem, options, with_pairs(options.hidden, options.degree), DirectionAndLength, beta=options.beta)


def _ctrl_published(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The commands of CTRL's code for Cora and Citeseer; the defaults for other graphs."""
    named = problem.name.rpartition("/")[2] in ("cora", "citeseer")
    return {"beta": 0.9, "start": "real"} if named else {}


CTRL = Method(
    name="graph/ctrl",
    summary="Gradient matching by direction and length; edges from pairs of features.",
    family="graph condensation",
    paper="Zhang et al., Two Trades is not Baffled: Condensing Graph via Crafting Rational Gradient Matching, 2024",
    options=CTRLOptions,
    plan=_ctrl,
    presets={"quick": _quick(start="real"), "paper": _ctrl_published},
    refuses=not_nodes,
)


# ---------------------------------------------------------------------------------------------------------------------
# MSGC


class MSGCOptions(GraphOptions):
    """GCond with several sparse structures over one set of features. Defaults: Gao and Wu 2023."""

    structures: int = Field(16, ge=1, description="B: sparse structures over the features")
    averaging: float = Field(0.95, gt=0, lt=1, description="decay of the moving average that is the result")
    start: Literal["real", "k-means"] = Field(
        "k-means", description="where the features start: random real nodes, or the means of clusters of each class"
    )
    threshold: float = Field(0.0, ge=0, le=1, description="edges of less weight are left out of the result")


def _msgc(problem: Problem[Any], counts: Mapping[int, int], options: MSGCOptions) -> Plan:
    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.several import WeightedEdges, balanced_support

        y = [g for g, n in work.counts.items() for _ in range(n)]
        edges, which = balanced_support(y, options.structures, work.rng("support"))
        x, rng = selected_features(work), work.rng("pairs")
        return WeightedEdges(work.counts, x, edges, which, rng, hidden=options.hidden, degree=options.degree)

    return _plan(problem, options, make, averaging=options.averaging)


MSGC = Method(
    name="graph/msgc",
    summary="Gradient matching with several sparse structures over one set of features.",
    family="graph condensation",
    paper="Gao and Wu, Multiple Sparse Graphs Condensation, Knowledge-Based Systems 2023",
    options=MSGCOptions,
    plan=_msgc,
    presets={"quick": _quick(steps=100, structures=4, degree=None), "paper": defaults},
    refuses=not_nodes,
)


# ---------------------------------------------------------------------------------------------------------------------
# SGDD


class SGDDOptions(GraphOptions):
    """GCond with a graphon and optimal transport to the real structure. Defaults: Yang et al. 2023, their code."""

    rho: float = Field(0.5, ge=0, le=1, description="part of the features in an edge, beside the coordinates")
    transport: float = Field(1e-9, ge=0, description="weight of the distance to the real structure")
    part: int = Field(200, ge=1, description="real nodes whose structure is compared: the training nodes first")


def _sgdd(problem: Problem[Any], counts: Mapping[int, int], options: SGDDOptions) -> Plan:
    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.graphon import GraphonGraph

        real = _dense_part(work.problem, options.part)
        rng, x = work.rng("graphon"), selected_features(work)
        more = {"hidden": options.hidden, "rho": options.rho, "weight": options.transport, "degree": options.degree}
        return GraphonGraph(work.counts, x, real, rng, **more)  # type: ignore[arg-type]

    return _plan(problem, options, make)


def _dense_part(problem: Problem[Any], most: int) -> Any:  # (m, m)
    """The adjacency between at most that many nodes of the training graph, those for training first."""
    import torch

    graph = problem.data.take(problem.data.ids())
    n = len(graph.x)
    order = torch.cat([graph.rows, torch.arange(n, device=graph.rows.device)])
    chosen = torch.tensor(list(dict.fromkeys(order.tolist()))[:most], device=order.device)
    new = torch.full((n,), -1, device=order.device)
    new[chosen] = torch.arange(len(chosen), device=order.device)
    source, target = new[graph.edges]
    kept = (source >= 0) & (target >= 0)
    a = graph.x.new_zeros(len(chosen), len(chosen))
    a[target[kept], source[kept]] = 1
    return torch.maximum(a, a.T)


SGDD = Method(
    name="graph/sgdd",
    summary="Gradient matching with edges of a graphon, drawn to the real structure by optimal transport.",
    family="graph condensation",
    paper="Yang et al., Does Graph Distillation See Like Vision Dataset Counterpart?, NeurIPS 2023",
    options=SGDDOptions,
    plan=_sgdd,
    presets={"quick": _quick(part=50), "paper": defaults},
    refuses=not_nodes,
)
