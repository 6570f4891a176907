"""The gradient of a classifier, of every row by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ddcore.problem import Output

__all__ = ["head_gradients"]


def head_gradients(out: Output, targets: Tensor) -> Tensor:  # (n, k) -> (n, k, d + 1)
    """d cross-entropy / d (weights, bias) of a linear classifier on `out.features`, for each row: (softmax(logits) - targets)
    times the features and 1. All networks of this plugin end in one."""
    with_bias = torch.cat([out.features, torch.ones_like(out.features[:, :1])], 1)
    return torch.einsum("nk,nd->nkd", out.logits.softmax(-1) - targets, with_bias)
