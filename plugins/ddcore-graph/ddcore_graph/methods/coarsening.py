"""Coarsening: the synthetic nodes are made of groups of real ones, by no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .frame import defaults, not_nodes
from .stages import Start

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

__all__ = [
    "AVERAGING",
    "CLUSTERING",
    "VARIATION_NEIGHBORHOODS",
    "VNG",
    "ClusteringOptions",
    "VNGOptions",
    "VariationOptions",
]


class ClusteringOptions(Options):
    """Cluster means of each class."""

    hops: int = Field(0, ge=0, description="propagations of the features before: 0 clusters them as they are")


class VNGOptions(Options):
    """A virtual node graph. Defaults: Si et al. 2023, and this library's training."""

    epochs: int = Field(
        100, ge=1, description="epochs of the network whose layers are clustered (Adam 0.01, full batch)"
    )
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


class VariationOptions(Options):
    """Contracted neighbourhoods. Defaults: Loukas 2019."""

    levels: int = Field(10, ge=1, description="rounds of contraction at most")
    signals: int = Field(10, ge=1, description="smoothest signals that are to stay as they are")


def _averaging(problem: Problem[Any], counts: Mapping[int, int], options: Options) -> Plan:
    """Every synthetic node is its class's mean."""
    import torch

    from ddcore.methods.plan import Plan

    from ..parametrizations.features import FeaturesOnly

    def make(work: Work[Any]) -> Synthetic[Any]:
        batches = {g: work.problem.data.take(work.problem.data.ids(g)) for g in work.counts}
        means = [batches[g].x[batches[g].rows].mean(0).expand(n, -1) for g, n in work.counts.items()]
        return FeaturesOnly(work.counts, torch.cat(means))

    return Plan((Start(make),))


def _clustering(problem: Problem[Any], counts: Mapping[int, int], options: ClusteringOptions) -> Plan:
    """Bisecting k-means of each class; a synthetic node is a cluster's mean."""
    import torch
    from sklearn.cluster import BisectingKMeans

    from ddcore.methods.plan import Plan

    from ..parametrizations.features import FeaturesOnly

    def make(work: Work[Any]) -> Synthetic[Any]:
        means = []
        for g, n in work.counts.items():
            batch = work.problem.data.take(work.problem.data.ids(g))
            h = batch.hops(options.hops)[batch.rows]
            rng = work.rng(f"k-means {g}").getrandbits(31)
            cluster = torch.from_numpy(BisectingKMeans(n, random_state=rng).fit_predict(h.cpu().numpy())).to(h.device)
            means += [h[cluster == k].mean(0) for k in range(n)]
        return FeaturesOnly(work.counts, torch.stack(means))

    return Plan((Start(make),))


def _vng(problem: Problem[Any], counts: Mapping[int, int], options: VNGOptions) -> Plan:
    """Clusters of each class in a trained network's layers, and the edges that carry what real edges carry to them."""
    from ddcore.methods.plan import Plan

    from ..virtual_nodes import virtual_node_graph

    return Plan((Start(partial(virtual_node_graph, epochs=options.epochs, model=options.model)),))


def _variation(problem: Problem[Any], counts: Mapping[int, int], options: VariationOptions) -> Plan:
    """Contracted neighbourhoods of the graph that training sees."""
    from ddcore.methods.plan import Plan

    from ..contracted import contracted_graph

    return Plan((Start(partial(contracted_graph, levels=options.levels, signals=options.signals)),))


def _method(
    name: str, summary: str, paper: str, options: type[Options], plan: Any, needs: tuple[str, ...] = ()
) -> Method:
    return Method(
        name=f"graph/{name}",
        summary=summary,
        family="coarsening",
        paper=paper,
        options=options,
        plan=plan,
        presets={"quick": defaults, "paper": defaults},
        needs=needs,
        refuses=not_nodes,
    )


AVERAGING = _method(
    "averaging", "The mean of each class, as often as it has nodes.", "none: class means", Options, _averaging
)
CLUSTERING = _method(
    "clustering",
    "Cluster means of each class.",
    "Steinbach, Karypis and Kumar, A Comparison of Document Clustering Techniques, KDD workshop on text mining 2000",
    ClusteringOptions,
    _clustering,
)
VNG = _method(
    "vng",
    "Clusters in a trained network's layers, with edges that carry what real ones carry.",
    "Si et al., Serving Graph Compression for Graph Neural Networks, ICLR 2023",
    VNGOptions,
    _vng,
    ("network",),
)
VARIATION_NEIGHBORHOODS = _method(
    "variation-neighborhoods",
    "Contracted neighbourhoods that keep the graph's smoothest signals.",
    "Loukas, Graph Reduction with Spectral and Cut Guarantees, JMLR 2019; Huang et al., Scaling Up Graph Neural Networks Via "
    "Graph Coarsening, KDD 2021",
    VariationOptions,
    _variation,
)
