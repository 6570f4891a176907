"""GCond and DosCond on nodes: gradient matching, with and without edges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method, Preset
from ddcore.options import Options

from .frame import defaults, not_nodes
from .stages import Decode, Start, feature_adam, selected_features

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = [
    "DOSCOND_NODE",
    "DOSCOND_X",
    "GCOND",
    "GCOND_X",
    "FeatureOptions",
    "GraphOptions",
    "alternating",
    "node_level",
]


# ---------------------------------------------------------------------------------------------------------------------
# the frame


class FeatureOptions(Options):
    """Gradient matching on nodes, without edges. Defaults: Jin et al. 2022 (GCond), their code's for Cora."""

    steps: int = Field(
        12_000, ge=1, description="updates of the set; the paper counts networks, each with `outer` updates"
    )
    outer: int = Field(20, ge=1, description="updates along the training of one network")
    inner: int = Field(15, ge=0, description="steps of network training on the set between two updates (Adam)")
    lr: float = Field(0.01, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    lr_net: float = Field(0.01, gt=0, description="learning rate of the networks")
    n_real: int = Field(256, ge=1, description="real nodes of each class in an update, all where there are no more")
    distance: Literal["layer-cosine", "layer-cosine+norm", "cosine", "mse"] = Field(
        "layer-cosine", description="distance of two gradients"
    )
    start: Literal["real", "k-means"] = Field(
        "real", description="where the features start: random real nodes, or the means of clusters of each class"
    )
    model: str = Field("sgc", description="network of the problem's zoo that gradients are matched in")


class GraphOptions(FeatureOptions):
    """Gradient matching on nodes, with edges. Defaults: Jin et al. 2022 (GCond), their code's for Cora."""

    lr_structure: float = Field(1e-4, gt=0, description="learning rate of the edges' network (Adam)")
    hidden: int = Field(128, ge=1, description="width of the edges' network")
    degree: float | None = Field(
        None, gt=0, description="weight of a node's edges together at the start; by default each is about a half"
    )
    threshold: float = Field(0.05, ge=0, le=1, description="edges of less weight are left out of the result")
    structure_turns: int = Field(10, ge=0, description="networks along which the edges move, in turn with ...")
    feature_turns: int = Field(40, ge=1, description="... networks along which the features move")


Make = Callable[["Work[Any]"], "Synthetic[Any]"]


def alternating(outer: int, structure: int, features: int) -> Callable[[int], Collection[str]]:
    """What moves at an update: the edges for `structure` networks of `outer` updates, then the features for `features`."""

    def moves(step: int) -> Collection[str]:
        return ("structure",) if step // outer % (structure + features) < structure else ("rows",)

    return moves


def without_edges(work: Work[Any]) -> Synthetic[Any]:
    """Nodes that see only themselves."""
    from ..parametrizations.features import FeaturesOnly

    return FeaturesOnly(work.counts, selected_features(work))


def with_pairs(hidden: int, degree: float | None) -> Make:
    """Edges from pairs of features."""

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.pair_mlp import PairGraph

        x, rng = selected_features(work), work.rng("pairs")
        return PairGraph(work.counts, x, rng, hidden=hidden, degree=degree)

    return make


def beginning(start: str) -> Any:
    """The stages that pick what the features start from."""
    from ddcore.methods.coresets import starting_rows

    if start == "real":
        return starting_rows("real")
    from .clusters import cluster_means

    return (Start(lambda work: cluster_means(work, hops=0)),)


def node_level(
    problem: Problem[Any],
    options: FeatureOptions,
    make: Make,
    moves: Callable[[int], Collection[str]] | None = None,
    edges: tuple[float, float] | None = None,  # learning rate of the edges, and the threshold of the result
) -> Plan:
    """Real nodes, then matching along the training of networks on the set."""
    from ddcore.methods.plan import Plan, Synthesise

    from ..objectives.gradient import NodeGradientMatching
    from ..objectives.networks import TrainedOnGraph

    networks = TrainedOnGraph(options.outer, options.inner, options.lr_net, options.model)
    objective = NodeGradientMatching(n_real=options.n_real, distance=options.distance, networks=networks)
    adam = feature_adam(problem, options.lr, **({"structure": edges[0]} if edges else {}))
    matching = Synthesise(objective, options.steps, adam, moves=moves)
    last = (Decode(edges[1]),) if edges else ()
    return Plan((*beginning(options.start), Start(make), matching, *last))


def _method(
    name: str, summary: str, paper: str, options: type[Options], plan: Any, quick: Preset, published: Preset
) -> Method:
    return Method(
        name=f"graph/{name}",
        summary=summary,
        family="graph condensation",
        paper=paper,
        options=options,
        plan=plan,
        presets={"quick": quick, "paper": published},
        refuses=not_nodes,
    )


# ---------------------------------------------------------------------------------------------------------------------
# GCond

GCOND_PAPER = "Jin et al., Graph Condensation for Graph Neural Networks, ICLR 2022"


def _gcond_x(problem: Problem[Any], counts: Mapping[int, int], options: FeatureOptions) -> Plan:
    """Features alone."""
    return node_level(problem, options, without_edges)


def _gcond(problem: Problem[Any], counts: Mapping[int, int], options: GraphOptions) -> Plan:
    """The edges along some networks, then the features along others."""
    turns = alternating(options.outer, options.structure_turns, options.feature_turns)
    return node_level(
        problem, options, with_pairs(options.hidden, options.degree), turns, (options.lr_structure, options.threshold)
    )


def _fixed(**settings: Any) -> Preset:
    """The same everywhere."""
    return lambda problem, counts: settings


def _published(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The commands of GCond's code by data set: those of Cora for graphs that it does not name."""
    table: Mapping[str, Mapping[str, Any]] = {
        "ogbn-arxiv": {"lr": 0.01, "lr_structure": 0.01, "inner": 3, "steps": 20_000, "hidden": 256, "threshold": 0.01},
        "flickr": {
            "lr": 5e-3, "lr_structure": 5e-3, "outer": 10, "inner": 1, "steps": 10_000, "hidden": 256, "threshold": 0.01
        },
        "reddit": {
            "lr": 0.1, "lr_structure": 0.1, "outer": 10, "inner": 1, "steps": 10_000, "hidden": 256, "threshold": 0.01
        },
    }  # fmt: skip
    return table.get(problem.name.rpartition("/")[2], {})


def _published_x(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """GCond's commands, without what is of the edges."""
    known = FeatureOptions.model_fields
    return {k: v for k, v in _published(problem, counts).items() if k in known}


GCOND_X = _method(
    "gcond-x",
    "Gradient matching on nodes, without edges.",
    GCOND_PAPER,
    FeatureOptions,
    _gcond_x,
    _fixed(lr=0.03, steps=100, outer=10, inner=5),
    _published_x,
)
GCOND = _method(
    "gcond",
    "Gradient matching on nodes; edges from pairs of features.",
    GCOND_PAPER,
    GraphOptions,
    _gcond,
    _fixed(
        lr=0.03,
        steps=200,
        inner=10,
        start="k-means",
        lr_structure=1e-3,
        degree=1.0,
        structure_turns=1,
        feature_turns=4,
    ),
    _published,
)


# ---------------------------------------------------------------------------------------------------------------------
# DosCond

DOSCOND_PAPER = "Jin et al., Condensing Graphs via One-Step Gradient Matching, KDD 2022"


class OneStepFeatureOptions(FeatureOptions):
    """One-step gradient matching on nodes, without edges. Defaults: Jin et al. 2022 (DosCond), their code."""

    steps: int = Field(1000, ge=1, description="updates of the set, each with a fresh network")
    outer: int = Field(1, ge=1, description="updates along the training of one network")
    inner: int = Field(0, ge=0, description="steps of network training on the set between two updates (Adam)")
    lr: float = Field(0.1, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    distance: Literal["layer-cosine", "layer-cosine+norm", "cosine", "mse"] = Field(
        "mse", description="distance of two gradients"
    )
    model: str = Field("gcn", description="network of the problem's zoo that gradients are matched in")


class OneStepGraphOptions(OneStepFeatureOptions):
    """One-step gradient matching on nodes, with edges. Defaults: Jin et al. 2022 (DosCond), their code."""

    lr_structure: float = Field(0.01, gt=0, description="learning rate of the edges' network (Adam)")
    hidden: int = Field(128, ge=1, description="width of the edges' network")
    degree: float | None = Field(
        None, gt=0, description="weight of a node's edges together at the start; by default each is about a half"
    )
    threshold: float = Field(0.05, ge=0, le=1, description="edges of less weight are left out of the result")


def _doscond(problem: Problem[Any], counts: Mapping[int, int], options: OneStepGraphOptions) -> Plan:
    """Edges and features together, in a fresh network at every update."""
    return node_level(
        problem, options, with_pairs(options.hidden, options.degree), edges=(options.lr_structure, options.threshold)
    )


DOSCOND_X = _method(
    "doscond-x",
    "One-step gradient matching on nodes, without edges.",
    DOSCOND_PAPER,
    OneStepFeatureOptions,
    _gcond_x,
    _fixed(steps=100, model="sgc"),
    defaults,
)
DOSCOND_NODE = _method(
    "doscond",
    "One-step gradient matching: edges and features together, in fresh networks.",
    DOSCOND_PAPER,
    OneStepGraphOptions,
    _doscond,
    _fixed(lr=0.03, steps=100, degree=1.0, model="sgc"),
    defaults,
)
