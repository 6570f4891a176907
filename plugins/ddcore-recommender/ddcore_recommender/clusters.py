"""Clusters of users: where fake users may start."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor

from ddcore.errors import OptionError
from ddcore.problem import Problem

__all__ = ["cluster_users"]


def cluster_users(problem: Problem[Any], n: int, rng: random.Random, directions: int = 64) -> tuple[Tensor, Tensor]:
    r"""Users (n, I) in place of n clusters of real ones, and the weight that each hands out in proportion to the others (n,).

    The clusters are those of k-means (k-means++, one start) on where the histories point in their first singular `directions`.
    To a linear kernel m equal users are one of \sqrt m times the weights: so is the mean of m. A quarter of the mean weight is
    then added to every item, so that none is at zero. Raises OptionError where fewer than n histories differ.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    rows = csr_array(vstack([csr_array(b.x.cpu().numpy()) for b in problem.data.batches("train", 1024)], format="csr"))
    users, items = rows.shape
    svd = TruncatedSVD(min(directions, users, items - 1), random_state=rng.getrandbits(31))
    points = normalize(svd.fit_transform(rows))
    distinct = len(np.unique(points.round(6), axis=0))
    if n > distinct:
        raise OptionError(
            f"{n} clusters of {users} users, of whom {distinct} differ: ask for at most {distinct} fake users, or start=users"
        )
    cluster = KMeans(n, n_init=1, random_state=rng.getrandbits(31)).fit(points).labels_
    members = csr_array((np.ones(users, np.float32), (cluster, np.arange(users))), (n, users))
    sums = torch.from_numpy((members @ rows).toarray())  # (n, I)
    sizes = torch.from_numpy(np.bincount(cluster, minlength=n).astype(np.float32))  # (n,)
    x = sums / sizes.sqrt()[:, None]
    return x + x.mean() / 4, x.sum(1)
