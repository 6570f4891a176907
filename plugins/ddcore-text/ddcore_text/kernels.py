"""Kernels of texts, for kernel ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ddcore.kernels import FullyConnected

from .models.network import masked_mean

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.rows import Rows

    from .tokens import TokenSpace

__all__ = ["bag_ntk", "vector_ntk"]


def vector_ntk(a: Rows, b: Rows) -> Tensor:  # (n, m)
    """The tangent kernel of an infinitely wide network on the rows' vectors."""
    return FullyConnected()(a.x, b.x)


def bag_ntk(space: TokenSpace, a: Rows, b: Rows) -> Tensor:  # (n, m)
    """The same on the mean of the word vectors."""
    return FullyConnected()(_mean(space, a), _mean(space, b))


def _mean(space: TokenSpace, batch: Rows) -> Tensor:  # (n, d)
    e = space.table.to(batch.x.device)[batch.x] if batch.x.ndim == 2 else batch.x
    mask = getattr(batch, "mask", None)
    return masked_mean(e, torch.ones(e.shape[:2], dtype=torch.bool, device=e.device) if mask is None else mask)
