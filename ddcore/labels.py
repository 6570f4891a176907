"""Labels of a row-separable set: what is stored for each row, and what a network is trained towards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LabelKind", "Labels", "PerEpochLabels", "ids", "one_hot", "per_epoch", "probabilities", "values"]

LabelKind = Literal["ids", "probabilities", "values", "per-epoch", "teacher", "attention"]


class Labels(nn.Module):
    """One tensor and its kind. `ids`: class numbers (n,); `probabilities`: (n, k), rows sum to one, or where learned their
    logits, seen through a softmax; `values`: (n, k), unconstrained, trained by squared error. Learned: a parameter."""

    def __init__(self, kind: LabelKind, stored: Tensor, *, learn: bool = False) -> None:
        super().__init__()
        self.kind: LabelKind = kind
        self.stored: Tensor
        if learn:
            self.stored = nn.Parameter(stored)
        else:
            self.register_buffer("stored", stored)

    def rows(self, ids: Sequence[int], epoch: int = 0) -> tuple[Tensor | None, Tensor | None]:
        """(y, values) of the rows: y is (n,) class numbers or (n, k) probabilities, values (n, k); one of them is None."""
        chosen = self.stored[list(ids)]
        if self.kind == "values":
            return None, chosen
        return (chosen.softmax(-1) if isinstance(self.stored, nn.Parameter) else chosen), None


class PerEpochLabels(Labels):
    """Probabilities stored for every epoch of training, (epochs, n, k): FKD's storage. Epochs beyond the last start over."""

    def __init__(self, stored: Tensor) -> None:
        super().__init__("per-epoch", stored)

    def rows(self, ids: Sequence[int], epoch: int = 0) -> tuple[Tensor | None, Tensor | None]:
        return self.stored[epoch % len(self.stored), list(ids)], None


def ids(y: Tensor) -> Labels:  # (n,)
    """Hard labels: class numbers."""
    return Labels("ids", y.long())


def probabilities(p: Tensor, *, learn: bool = False) -> Labels:  # (n, k), rows sum to one
    """Soft labels; learned through their logits."""
    return Labels("probabilities", p.clamp_min(1e-6).log() if learn else p, learn=learn)


def values(v: Tensor, *, learn: bool = False) -> Labels:  # (n, k)
    """Unconstrained targets for squared error (KIP, FRePo): may be negative, are never put through a softmax."""
    return Labels("values", v, learn=learn)


def per_epoch(p: Tensor) -> Labels:  # (epochs, n, k), rows sum to one
    """A teacher's labels of every epoch's augmented views."""
    return PerEpochLabels(p)


def one_hot(y: Tensor, k: int) -> Tensor:  # (n,) -> (n, k)
    """Probabilities of hard labels."""
    return F.one_hot(y.long(), k).to(torch.get_default_dtype())
