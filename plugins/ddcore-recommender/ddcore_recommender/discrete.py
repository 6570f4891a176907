"""Discrete fake users: the interactions that stand for weights."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from scipy.sparse import csr_array

from ddcore.parametrizations.base import Synthetic

from .users import Interactions, SparseUsers, UserSet, sparse_rows

__all__ = ["discrete"]


def discrete(synthetic: Synthetic[Interactions], length: float, rng: Random) -> SparseUsers:
    r"""As many users, each with whole interactions of different items.

    A user's items are drawn without repeats in proportion to weight ** sharpness: with Distill-CF's temperature as the
    sharpness these are draws from the softmax of the logits, what its relaxed draws tend to. Users have `length` items on
    average, each in proportion to the square root of their weight's effective number of items; at least one, at most as many as
    have weight. A set whose weights are 0 and 1 stays as it is.
    """
    rows = sparse_rows(synthetic)
    if (rows.data == 1).all():
        return SparseUsers(rows)
    x = rows.toarray().astype(np.float64) ** (synthetic.sharpness if isinstance(synthetic, UserSet) else 1.0)
    p = x / x.sum(1, keepdims=True).clip(min=1e-300)  # (n, I)
    wide = np.sqrt(1 / np.square(p).sum(1).clip(min=1e-300))  # of the effective number of items
    n = np.rint(length * wide / wide.mean()).clip(1, (p > 0).sum(1)).astype(np.int64)
    gumbel = np.random.default_rng(rng.getrandbits(63)).gumbel(size=p.shape)
    with np.errstate(divide="ignore"):
        order = np.argsort(-(np.log(p) + gumbel), axis=1)
    indptr = np.concatenate([[0], np.cumsum(n)])
    indices = np.concatenate([np.sort(order[u, :k]) for u, k in enumerate(n)])
    return SparseUsers(csr_array((torch.ones(len(indices)).numpy(), indices, indptr), p.shape))
