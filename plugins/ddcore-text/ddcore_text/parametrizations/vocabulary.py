"""A distribution over the vocabulary at every position."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.labels import Labels
from ddcore.problem import Problem
from ddcore.rows import Rows, RowSynthetic
from ddcore.seeds import generator

from ..batch import Sentences
from ..data import token_space
from ..decode import Reading

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["Relaxation", "VocabularyDistributions", "straight_through_gumbel", "vocabulary_set"]

Relaxation = Literal["softmax", "gumbel"]


class VocabularyDistributions(RowSynthetic):
    r"""Logits (n, t, words) over the vocabulary's words, between what begins and what ends every text. What a network reads is
    the expected vector, softmax(logits / \tau) E, or with "gumbel" the vector of a word that is drawn, with the gradient of the
    relaxed one (Jang et al. 2017); without an `rng` it is the most likely word."""

    parametrization = "text/vocabulary"
    mask: Tensor  # (n, t)
    words: Tensor  # (words, d), their rows of the table

    def __init__(
        self,
        space: TokenSpace,
        counts: Mapping[int, int],
        logits: Tensor,  # (n, t, words)
        mask: Tensor,  # (n, t)
        labels: Labels | None = None,
        *,
        relaxation: Relaxation = "softmax",
        temperature: float = 1.0,
    ) -> None:
        super().__init__(counts, logits, labels)
        self.space, self.relaxation, self.temperature = space, relaxation, temperature
        self.register_buffer("mask", mask.clone())
        self.register_buffer("words", space.table[_words(space)], persistent=False)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        at = list(ids)
        logits, mask = self.x[at], self.mask[at]
        if self.relaxation == "gumbel":
            p = straight_through_gumbel(logits, self.temperature, rng)
        else:
            p = (logits / self.temperature).softmax(-1)
        e, mask = self.space.framed(p @ self.words, mask)
        return Sentences(e, *self.labels.rows(ids), mask=mask)

    @torch.no_grad()
    def readings(self) -> list[Reading]:
        """The most likely words; the distance is that of the vectors that a network reads, 0 for words that are drawn."""
        ids, found = _words(self.space), []
        for logits, mask in zip(self.x, self.mask, strict=True):
            p, best = (logits[mask] / self.temperature).softmax(-1), logits[mask].argmax(-1)
            apart = 0.0
            if self.relaxation == "softmax" and len(best):
                apart = (p @ self.words - self.words[best]).square().mean().sqrt().item()
            found.append(Reading(self.space.decode([ids[i] for i in best.tolist()]), apart))
        return found

    def stored(self) -> dict[str, Tensor]:
        found = {k: x for k, x in super().stored().items() if k not in ("x", "mask")}
        return {**found, "logits": self.x.detach(), "mask": self.mask}

    def config(self) -> dict[str, Any]:
        return {**super().config(), "relaxation": self.relaxation, "temperature": self.temperature}

    @classmethod
    def restore(
        cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> VocabularyDistributions:
        rows = RowSynthetic.restore(problem, config, {**tensors, "x": tensors["logits"]})
        how = {k: config[k] for k in ("relaxation", "temperature")}
        return cls(token_space(problem), rows.counts, tensors["logits"], tensors["mask"], rows.labels, **how)


def straight_through_gumbel(logits: Tensor, temperature: float, rng: random.Random | None) -> Tensor:  # (..., words)
    r"""One-hot draws from softmax(logits), with the gradient of softmax((logits + g) / \tau), g Gumbel noise (Jang et al. 2017,
    section 2.2); without an `rng` the noise is left out."""
    if rng is not None:
        u = torch.rand(logits.shape, generator=generator(rng)).clamp(1e-20, 1 - 1e-7)
        logits = logits - (-u.log()).log().to(logits)
    soft = (logits / temperature).softmax(-1)
    hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()


def vocabulary_set(
    space: TokenSpace, counts: Mapping[int, int], start: Rows | None, rng: random.Random, **how: Any
) -> VocabularyDistributions:
    """Normal noise over all positions; or the words of real texts, each with a probability of about 0.88 of its own, and an
    unknown one as any word."""
    words, n = _words(space), sum(counts.values())
    if start is None:
        shape = (n, space.room, len(words))
        logits = torch.randn(shape, generator=generator(rng))
        return VocabularyDistributions(space, counts, logits, torch.ones(shape[:2], dtype=torch.bool), **how)
    place = torch.full((len(space.table),), -1)
    place[words] = torch.arange(len(words))
    ids = space.bare(start.x.cpu())
    at = place[ids]  # (n, t) numbers of words; -1 for an unknown one and for padding
    known = at >= 0
    logits = F.one_hot(at.clamp_min(0), len(words)) * known.unsqueeze(-1) * (math.log(len(words)) + 2.0)
    return VocabularyDistributions(space, counts, logits.float(), ids != space.pad, **how)


def _words(space: TokenSpace) -> list[int]:
    """The ids that are words."""
    return [i for i in range(len(space.table)) if i not in space.special]
