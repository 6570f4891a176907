"""Where features start: the means of clusters of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.methods.plan import Work

__all__ = ["class_clusters", "cluster_means"]


def class_clusters(h: Any, k: int, seed: int) -> Any:  # (n, d), k <= n -> (n,) cluster of each row
    """K-means of one class; scikit-learn's, from ten starts."""
    import torch
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=10, random_state=seed).fit(h.double().cpu().numpy())
    return torch.tensor(found.labels_, device=h.device).long()


def cluster_means(work: Work[Any], hops: int) -> Any:
    """Nodes without edges whose features are the means of each class's clusters, after that many propagations."""
    import torch

    from ..parametrizations.features import FeaturesOnly

    data, means = work.problem.data, []
    for g, k in work.counts.items():
        batch = data.take(data.ids(g))
        h = batch.hops(hops)[batch.rows]
        owner = class_clusters(h, k, work.rng(f"clusters {g}").getrandbits(31))
        means += [h[owner == j].mean(0) for j in range(k)]
    return FeaturesOnly(work.counts, torch.stack(means))
