"""CGC and GECC: condensing without training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults, not_nodes
from .stages import Start

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["CGC", "CGC_X", "GECC", "CGCOptions", "CGCXOptions", "GECCOptions"]


# ---------------------------------------------------------------------------------------------------------------------
# CGC


class CGCXOptions(Options):
    """Class partition. Defaults: Gao et al. 2025, their code's for Cora where it has one setting for all ratios."""

    hops: int = Field(2, ge=0, description="propagations of the features that are clustered")
    temperature: float = Field(1.0, gt=0, description="of the confidence that weighs a cluster's nodes")
    augmentation: float = Field(
        0.0,
        ge=0,
        description="extra samples, as a part of the training nodes, for classes that a linear model confuses",
    )


class CGCOptions(CGCXOptions):
    """Class partition, with edges between similar clusters. Defaults: Gao et al. 2025, their code, whose
    cosines are 0.75 to 0.996, by data set."""

    cosine: float = Field(0.99, ge=-1, le=1, description="clusters of a greater cosine have an edge")
    alpha: float = Field(
        1.0, gt=0, description="how much the features are to give the clusters' means, against smoothness"
    )


def _partition(work: Work[Any], options: CGCXOptions) -> Any:  # (N', d)
    """The weighted means of each class's clusters."""
    import torch

    from ..partition import k_means, linear_scores, weighted_means

    data, task = work.problem.data, work.problem.task
    batch = data.take([i for g in work.counts for i in data.ids(g)])
    sizes, y = [len(data.ids(g)) for g in work.counts], task.targets(batch)
    h = batch.hops(options.hops)[batch.rows]
    seen = torch.stack([batch.hops(k)[batch.rows] for k in range(options.hops + 1)]).mean(0)
    scores = linear_scores(seen, y)
    right = scores.argmax(1) == y.argmax(1)
    confidence = (scores.softmax(1) * y).sum(1)
    confidence = torch.where(right, confidence, confidence.min())
    extra = _extra(work, options, batch, right, sizes)
    found, ends = [], torch.tensor(sizes).cumsum(0).tolist()
    for (g, k), end, n in zip(work.counts.items(), ends, sizes, strict=True):
        rows = torch.cat([h[end - n : end], extra[g]])
        score = torch.cat([confidence[end - n : end], confidence.new_full((len(extra[g]),), float(confidence.min()))])
        _, owner = k_means(rows, k, work.rng(f"clusters {g}").getrandbits(31))
        found.append(weighted_means(rows, owner, k, score, options.temperature))
    return torch.cat(found)


def _extra(work: Work[Any], options: CGCXOptions, batch: Any, right: Any, sizes: list[int]) -> dict[int, Any]:
    """What nodes see after one propagation, as samples of classes in proportion to how often they are taken for others."""
    wrong = [1 - float(part.double().mean()) for part in right.split(sizes)]
    total = round(options.augmentation * sum(sizes))
    near = batch.hops(1)[batch.rows].split(sizes)
    rng, found = work.rng("augment"), {}
    for g, rows, share in zip(work.counts, near, wrong, strict=True):
        n = round(total * share / sum(wrong)) if sum(wrong) else 0
        found[g] = rows[[rng.randrange(len(rows)) for _ in range(n)]]
    return found


def _cgc_x(problem: Problem[Any], counts: Mapping[int, int], options: CGCXOptions) -> Plan:
    """Clusters of each class; no edges."""
    from ddcore.methods.plan import Plan

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.features import FeaturesOnly

        return FeaturesOnly(work.counts, _partition(work, options))

    return Plan((Start(make),))


def _cgc(problem: Problem[Any], counts: Mapping[int, int], options: CGCOptions) -> Plan:
    """Clusters of each class, edges between those alike, and the features that look like the clusters through the edges."""
    from ddcore.methods.plan import Plan

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.dense import DenseGraph
        from ..partition import cosine_edges, underlying_features

        h = _partition(work, options)
        adj = cosine_edges(h, options.cosine)
        return DenseGraph(work.counts, underlying_features(h, adj, options.hops, options.alpha), adj)

    return Plan((Start(make),))


CGC_PAPER = "Gao et al., Rethinking and Accelerating Graph Condensation: A Training-Free Approach with Class Partition, WWW 2025"
CGC_X = Method(
    name="graph/cgc-x",
    summary="Clusters of each class's propagated features, without training and without edges.",
    family="graph condensation",
    paper=CGC_PAPER,
    options=CGCXOptions,
    plan=_cgc_x,
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)
CGC = Method(
    name="graph/cgc",
    summary="Clusters of each class's propagated features, with edges between those alike, without training.",
    family="graph condensation",
    paper=CGC_PAPER,
    options=CGCOptions,
    plan=_cgc,
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)


# ---------------------------------------------------------------------------------------------------------------------
# GECC


class GECCOptions(Options):
    """Class-wise clustering. Defaults: Gong et al. 2025, section 4 and what its code clusters with."""

    weights: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="of the features after 0, 1 and 2 propagations in their sum"
    )
    fuzziness: float = Field(1.3, ge=1, description="m of fuzzy c-means; 1: k-means")
    starts: int = Field(10, ge=1, description="k-means++ starts, the best of which is kept")
    earlier: Path | None = Field(
        None, description="folder of a set of the same graph when it was smaller: its nodes are where the centres start"
    )


def _gecc(problem: Problem[Any], counts: Mapping[int, int], options: GECCOptions) -> Plan:
    """The centres of each class."""
    from ddcore.methods.plan import Plan

    def make(work: Work[Any]) -> Synthetic[Any]:
        import torch

        from ..parametrizations.features import FeaturesOnly
        from ..partition import fuzzy_centres, grown_centres, k_means, mixed_hops

        earlier = {} if options.earlier is None else _centres(work.problem, options.earlier)
        found = []
        for g, k in work.counts.items():
            batch = work.problem.data.take(work.problem.data.ids(g))
            z = mixed_hops([batch.hops(j)[batch.rows] for j in range(3)], options.weights)
            rng = work.rng(f"clusters {g}")
            start = grown_centres(earlier[g], z, k, rng) if g in earlier else None
            centres, _ = k_means(z, k, rng.getrandbits(31), options.starts, start)
            found.append(centres if options.fuzziness == 1 else fuzzy_centres(z, centres, options.fuzziness))
        return FeaturesOnly(work.counts, torch.cat(found))

    return Plan((Start(make),))


def _centres(problem: Problem[Any], folder: Path) -> dict[int, Any]:  # (n, d) each
    """The features of a stored set by class."""
    import ddcore

    made = ddcore.open(folder).synthetic(problem)
    graph = made.batch()
    return dict(zip(made.counts, graph.x[graph.rows].detach().split(list(made.counts.values())), strict=True))


GECC = Method(
    name="graph/gecc",
    summary="Fuzzy clusters of each class's propagated features, without training.",
    family="graph condensation",
    paper="Gong et al., Scalable Graph Condensation with Evolving Capabilities, 2025 (arXiv 2502.17614)",
    options=GECCOptions,
    plan=_gecc,
    presets={"quick": defaults, "paper": defaults},
    refuses=not_nodes,
)
