"""Texts as rows: token ids that the networks look up, or the vectors of whole texts."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddcore.errors import NotSupported
from ddcore.rows import RowData, Rows

from .batch import Sentences

if TYPE_CHECKING:
    from ddcore.problem import DataSource, Problem

    from .corpus import Corpus, Text
    from .tokens import TokenSpace

__all__ = ["TextData", "TokenData", "VectorData", "text_data", "token_space"]


class TextData(RowData):
    """Rows that know the text they are of."""

    def __init__(self, x: Tensor, corpus: Corpus) -> None:
        super().__init__(x, torch.tensor(corpus.y), corpus.splits, drawn=corpus.drawn)
        self.corpus = corpus

    def texts(self, ids: Sequence[int]) -> list[Text]:
        """What the rows say."""
        return [self.corpus.texts[i] for i in ids]


class TokenData(TextData):
    """Token ids, cut to the longest text of a batch."""

    def __init__(self, space: TokenSpace, corpus: Corpus) -> None:
        super().__init__(space.encode(corpus.texts), corpus)
        self.space = space

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        chosen = torch.as_tensor(ids, device=self.x.device)
        x = self.x[chosen]
        mask = x != self.space.pad
        t = max(int(mask.sum(1).max()), 1) if len(x) else 1
        return Sentences(x[:, :t], self.y[chosen], mask=mask[:, :t])


class VectorData(TextData):
    """A vector for each text, of a frozen encoder."""

    def __init__(self, x: Tensor, corpus: Corpus, encoder: str) -> None:  # x: (n, d)
        super().__init__(x, corpus)
        self.encoder = encoder

    def fingerprint(self) -> str:
        """sha256 of the texts and the encoder: its vectors may differ in the last bit from one machine to another."""
        return hashlib.sha256(f"{self.corpus.digest} {self.encoder}".encode()).hexdigest()


def text_data(data: DataSource[Any]) -> TextData:
    """The texts under a view of them (a subset, another device). Raises NotSupported for data that is not of text."""
    while not isinstance(data, TextData):
        if not hasattr(data, "data"):
            raise NotSupported(f"{type(data).__name__} holds no texts: load a problem of ddcore-text")
        data = data.data
    return data


def token_space(problem: Problem[Any]) -> TokenSpace:
    """The table of a problem in the input space `tokens`; NotSupported for one of sentence vectors."""
    data = text_data(problem.data)
    if not isinstance(data, TokenData):
        raise NotSupported(f'{problem.name} was loaded with sentence vectors: load it with space = "tokens"')
    return data.space
