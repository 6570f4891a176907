"""A batch of sentences, and what is to be learned from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.errors import NotSupported
from ddcore.problem import Output
from ddcore.rows import Classification, Rows

__all__ = ["Sentences", "TextClassification"]


@dataclass(frozen=True)
class Sentences(Rows):
    """Rows whose `x` is token ids (n, t) of real text or their vectors (n, t, d), with the positions that count and, where a
    set has them, the attention that a network should pay."""

    mask: Tensor | None = None  # (n, t) bool: True where a token is, False where padding is; None: all are tokens
    attention: Tensor | None = None  # (n, layers, heads, queries, t): each query's distribution over the keys


class TextClassification(Classification):
    """Classification, and for rows with attention labels the divergence of the network's attention from them."""

    def losses(self, out: Output, batch: Rows) -> Tensor:  # (n,)
        r"""L + KL(A_label \| A_network), summed over keys and averaged over layers, heads and queries (Maekawa et al. 2023,
        eq. 3, whose weight is 1). The first `queries` rows of the network's maps are compared, those of padding left out; a
        network without attention is trained by the labels alone. Raises NotSupported for one with other layers or heads."""
        losses = super().losses(out, batch)
        wanted = getattr(batch, "attention", None)
        if wanted is None or "attention" not in out.extras:
            return losses
        maps = out.extras["attention"][:, :, :, : wanted.shape[3]]  # (n, layers, heads, queries, t)
        if maps.shape != wanted.shape:
            raise NotSupported(
                f"the set has labels for the attention of {wanted.shape[1]} layers of {wanted.shape[2]} heads, and the network "
                f"has {maps.shape[1]} of {maps.shape[2]}: train the network that it was made for, or one without attention"
            )
        divergence = wanted * ((wanted + EPSILON).log() - (maps + EPSILON).log())
        divergence = divergence.sum(-1).mean((1, 2))  # (n, queries)
        mask = getattr(batch, "mask", None)
        counted = torch.ones_like(divergence) if mask is None else mask[:, : wanted.shape[3]].to(divergence.dtype)
        both: Tensor = losses + (divergence * counted).sum(1) / counted.sum(1)
        return both


EPSILON = 1e-12  # inside the logarithms, as in the authors' code
