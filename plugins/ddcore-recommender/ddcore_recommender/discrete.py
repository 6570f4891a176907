"""Discrete fake users: the interactions that stand for weights."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from ddcore.parametrizations.base import Synthetic

from .users import Interactions, SparseUsers, UserSet, sparse_rows

__all__ = ["discrete"]


def discrete(synthetic: Synthetic[Interactions]) -> SparseUsers:
    r"""As many users, each with whole interactions: the items of the largest weights, of equal ones the lower numbers.

    A user has as many as the perplexity exp( -\sum_i p_i log p_i ) of p, which is in proportion to weight ** sharpness: with
    Distill-CF's temperature as the sharpness this is the softmax of the logits. A user whose weights are 0 and 1 stays as they
    are, and one without weight stays empty.
    """
    rows = sparse_rows(synthetic)
    if (rows.data == 1).all():
        return SparseUsers(rows)
    x = rows.toarray().astype(np.float64)  # (n, I)
    x /= x.max(1, keepdims=True).clip(min=1e-300)
    x **= synthetic.sharpness if isinstance(synthetic, UserSet) else 1.0
    p = x / x.sum(1, keepdims=True).clip(min=1e-300)
    perplexity = np.exp(-(p * np.log(p.clip(min=1e-300))).sum(1))
    n = np.minimum(np.rint(perplexity), (p > 0).sum(1)).astype(np.int64)
    order = np.argsort(-p, axis=1, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(n)])
    indices = np.concatenate([np.sort(order[u, :k]) for u, k in enumerate(n)])
    return SparseUsers(csr_array((np.ones(len(indices), np.float32), indices, indptr), p.shape))
