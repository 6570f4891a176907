"""What is done to raw features before any network sees them; recorded with every artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import Preprocessing

__all__ = ["Normalise", "dense", "deviation", "prepared"]

Normalise = Literal["none", "rows", "standard"]
"""`rows`: every node's features are divided by their sum; `standard`: mean 0 and deviation 1 over the training nodes."""


def dense(x: Any) -> Tensor:  # (N, d) array or scipy's sparse matrix
    """A float tensor. Raises DataError for features that are missing, no real numbers or not finite."""
    array = x.toarray() if sparse.issparse(x) else np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise DataError(f"features are of type {array.dtype}: real numbers are expected")
    made = torch.from_numpy(np.require(array, np.float32, ["C", "W"]))
    if made.ndim != 2 or not made.shape[1]:
        raise DataError(
            f"features have shape {tuple(made.shape)} and are (nodes, one number or more): where nodes have none, give each its "
            "degree, or a column for each kind of node"
        )
    if not bool(made.isfinite().all()):
        bad = (~made.isfinite()).any(1).nonzero().flatten()
        raise DataError(
            f"{len(bad)} of {len(made)} nodes have features that are NaN or infinite (first: node {int(bad[0])})"
        )
    return made


def prepared(x: Tensor, normalise: Normalise, train: Sequence[int]) -> tuple[Tensor, Preprocessing]:  # (N, d)
    """The features as networks see them, and the record of it."""
    if normalise == "rows":
        total = x.sum(1, keepdim=True)
        done = Preprocessing("rows divided by their sums", "x  # the sums are not kept")
        return x / torch.where(total == 0, 1, total), done
    if normalise == "standard":
        seen = x[torch.as_tensor(train)]
        mean, deviation = seen.mean(0), seen.std(0, correction=0)
        deviation = torch.where(deviation == 0, 1, deviation)
        done = Preprocessing("standardised", "x * deviation + mean", {"mean": mean, "deviation": deviation})
        return (x - mean) / deviation, done
    return x, Preprocessing("none")


def deviation(x: Tensor) -> float:  # (n, d)
    """The standard deviation of features around the mean of each, in the mean square; 1 where they are all the same."""
    return float(x.std(0, correction=0).square().mean().sqrt()) or 1.0
