"""Sequences of vectors in the place of word vectors."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from ddcore.labels import LabelKind, Labels
from ddcore.problem import Problem
from ddcore.rows import Rows, RowSynthetic
from ddcore.seeds import generator

from ..batch import Sentences

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["EmbeddingSequences", "embedding_set"]


class EmbeddingSequences(RowSynthetic):
    """Free vectors (n, t, d) at the positions that the mask has; labels of any kind, and attention labels where a method
    learns them."""

    parametrization = "text/embeddings"

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (n, t, d)
        mask: Tensor,  # (n, t)
        labels: Labels | None = None,
        step_size: float = 0.01,
    ) -> None:
        super().__init__(counts, x, labels, step_size)
        self.mask: Tensor
        self.register_buffer("mask", mask.clone())
        self.attention: nn.Parameter | None = None  # (n, layers, heads, queries, t), before the softmax over keys

    @property
    def label_kind(self) -> LabelKind:  # type: ignore[override]
        return self.labels.kind if self.attention is None else "attention"

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        at = list(ids)
        mask = self.mask[at]
        attention = None
        if self.attention is not None:
            absent = ~mask[:, None, None, None]
            attention = self.attention[at].masked_fill(absent, torch.finfo(self.attention.dtype).min).softmax(-1)
        return Sentences(self.x[at], *self.labels.rows(ids), mask=mask, attention=attention)

    def learn_attention(self, start: Tensor) -> Self:  # (n, layers, heads, queries, t)
        """Makes attention labels a parameter, from their logits."""
        self.attention = nn.Parameter(start.detach().clone().to(self.x))
        return self

    def param_groups(self) -> list[dict[str, Any]]:
        """Attention labels are a group of their own."""
        groups = super().param_groups()
        if self.attention is None:
            return groups
        rows = [{**g, "params": [p for p in g["params"] if p is not self.attention]} for g in groups]
        return [*rows, {"name": "attention", "params": [self.attention]}]

    def config(self) -> dict[str, Any]:
        return {**super().config(), "targets": self.labels.kind}

    @classmethod
    def restore(
        cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> EmbeddingSequences:
        found = RowSynthetic.restore(problem, {**config, "labels": config["targets"]}, tensors)
        made = cls(dict(config["counts"]), found.x, tensors["mask"], found.labels)
        if "attention" in tensors:
            made.learn_attention(tensors["attention"].clamp_min(torch.finfo(found.x.dtype).tiny).log())
        return made


def embedding_set(
    space: TokenSpace, counts: Mapping[int, int], start: Rows | None, rng: random.Random
) -> EmbeddingSequences:
    """What a token problem passes as `synthetic`: the words of a start batch, or normal noise at all positions, which is as large
    as the table's vectors."""
    if start is None:
        x = torch.randn(sum(counts.values()), space.length, space.width, generator=generator(rng))
        return EmbeddingSequences(counts, x, torch.ones(x.shape[:2], dtype=torch.bool))
    mask = getattr(start, "mask", None)
    if mask is None:
        mask = torch.ones(start.x.shape[:2], dtype=torch.bool)
    x = space.table.to(start.x.device)[start.x] if start.x.ndim == 2 else start.x
    return EmbeddingSequences(counts, x, mask)
