"""GCDM: distribution matching on nodes, with and without edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults, not_nodes
from .gradient import alternating, beginning, with_pairs, without_edges
from .stages import Decode, Start, feature_adam

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan
    from ddcore.problem import Problem

__all__ = ["GCDM", "GCDM_X", "GCDMOptions", "GCDMXOptions"]


class GCDMXOptions(Options):
    """Distribution matching on nodes, without edges. No code of the authors exists: what the paper leaves open is ours."""

    steps: int = Field(2000, ge=1, description="updates of the set")
    outer: int = Field(1, ge=1, description="updates along the training of one network")
    inner: int = Field(0, ge=0, description="steps of the network down the same loss between two updates (Adam)")
    lr: float = Field(0.02, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    lr_net: float = Field(0.01, gt=0, description="learning rate of the networks")
    n_real: int = Field(256, ge=1, description="real nodes of each class in an update, all where there are no more")
    start: Literal["real", "k-means"] = Field(
        "real", description="where the features start: random real nodes, or the means of clusters of each class"
    )
    model: str = Field("gcn", description="network of the problem's zoo whose embeddings are compared")


class GCDMOptions(GCDMXOptions):
    """Distribution matching on nodes, with edges. No code of the authors exists: what the paper leaves open is ours."""

    outer: int = Field(10, ge=1, description="updates along the training of one network")
    inner: int = Field(1, ge=0, description="steps of the network down the same loss between two updates (Adam)")
    lr_structure: float = Field(1e-3, gt=0, description="learning rate of the edges' network (Adam)")
    hidden: int = Field(128, ge=1, description="width of the edges' network")
    degree: float = Field(1.0, gt=0, description="weight of a node's edges together at the start")
    threshold: float = Field(0.05, ge=0, le=1, description="edges of less weight are left out of the result")
    structure_turns: int = Field(10, ge=0, description="networks along which the edges move, in turn with ...")
    feature_turns: int = Field(40, ge=1, description="... networks along which the features move")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: GCDMXOptions) -> Plan:
    """Real nodes, then class means in random networks; with edges, GCond's alternation."""
    from ddcore.methods.plan import Plan, Synthesise

    from ..objectives.receptive_fields import ReceptiveFieldMatching

    objective = ReceptiveFieldMatching(options.n_real, options.outer, options.inner, options.lr_net, options.model)
    if not isinstance(options, GCDMOptions):
        matching = Synthesise(objective, options.steps, feature_adam(problem, options.lr))
        return Plan((*beginning(options.start), Start(without_edges), matching))
    adam = feature_adam(problem, options.lr, structure=options.lr_structure)
    matching = Synthesise(
        objective, options.steps, adam, moves=alternating(options.outer, options.structure_turns, options.feature_turns)
    )
    start = Start(with_pairs(options.hidden, options.degree))
    return Plan((*beginning(options.start), start, matching, Decode(options.threshold)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """200 updates in linear networks, from clusters."""
    return {"steps": 200, "model": "sgc", "start": "k-means"}


def quick_graph(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """200 updates in linear networks, the edges along one and the features along four in turn."""
    return {"steps": 200, "model": "sgc", "structure_turns": 1, "feature_turns": 4}


GCDM_X = Method(
    name="graph/gcdm-x",
    summary="Class means in random networks, without edges.",
    family="graph condensation",
    paper="Liu et al., CaT: Balanced Continual Graph Learning with Graph Condensation, ICDM 2023",
    options=GCDMXOptions,
    plan=plan,
    presets={"quick": quick, "paper": defaults},
    refuses=not_nodes,
)
GCDM = Method(
    name="graph/gcdm",
    summary="Class means of receptive fields; edges from pairs of features.",
    family="graph condensation",
    paper="Liu et al., Graph Condensation via Receptive Field Distribution Matching, 2022 (arXiv 2206.13697)",
    options=GCDMOptions,
    plan=plan,
    presets={"quick": quick_graph, "paper": defaults},
    refuses=not_nodes,
)
