"""Where features start: the means of clusters of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.methods.plan import Work

__all__ = ["cluster_means"]


def cluster_means(work: Work[Any], hops: int) -> Any:
    """Nodes without edges whose features are the means of each class's clusters, after that many propagations."""
    import torch

    from ..parametrizations.features import FeaturesOnly
    from ..partition import k_means

    data, means = work.problem.data, []
    for g, k in work.counts.items():
        batch = data.take(data.ids(g))
        h = batch.hops(hops)[batch.rows]
        means.append(k_means(h, k, work.rng(f"clusters {g}").getrandbits(31))[0])
    return FeaturesOnly(work.counts, torch.cat(means))
