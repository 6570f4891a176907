"""Texts, stored as texts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore import labels as kinds
from ddcore.labels import LabelKind, Labels
from ddcore.parametrizations import Synthetic
from ddcore.problem import Problem
from ddcore.rows import Rows

from ..batch import Sentences
from ..data import token_space
from ..decode import Reading

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["WrittenTexts", "texts_of"]


class WrittenTexts(Synthetic[Rows]):
    """Texts in UTF-8 that any tokenizer can read: nothing is left to learn but step sizes. `texts_of` reads them back from what
    is stored, for a problem with another vocabulary."""

    parametrization = "text/written"

    def __init__(
        self, space: TokenSpace, counts: Mapping[int, int], texts: Sequence[str], labels: Labels | None = None
    ) -> None:
        super().__init__(counts)
        self.texts = list(texts)
        self.labels = labels or kinds.ids(torch.tensor([g for g, n in counts.items() for _ in range(n)]))
        self.x: Tensor
        self.register_buffer("x", space.encode(self.texts), persistent=False)
        self.pad = space.pad

    @property
    def label_kind(self) -> LabelKind:  # type: ignore[override]
        return self.labels.kind

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        x = self.x[list(ids)]
        return Sentences(x, *self.labels.rows(ids), mask=x != self.pad)

    def readings(self) -> list[Reading]:
        """The texts."""
        return [Reading(text) for text in self.texts]

    def stored(self) -> dict[str, Tensor]:
        found = {k: x for k, x in super().stored().items() if k not in ("x", "mask")}
        said = [text.encode() for text in self.texts]
        letters = torch.tensor(list(b"".join(said)), dtype=torch.uint8)
        ends = torch.tensor([len(text) for text in said]).cumsum(0)
        return {**found, "text": letters, "ends": ends}

    @classmethod
    def restore(
        cls, problem: Problem[Rows], config: Mapping[str, object], tensors: Mapping[str, Tensor]
    ) -> WrittenTexts:
        kind: LabelKind = config["labels"]  # type: ignore[assignment]
        labels = Labels(kind, tensors["values"] if kind == "values" else tensors["y"])
        counts: dict[int, int] = dict(config["counts"])  # type: ignore[call-overload]
        return cls(token_space(problem), counts, texts_of(tensors), labels)


def texts_of(tensors: Mapping[str, Tensor]) -> list[str]:
    """The texts of what a set of written texts stores: `text`, all of them in UTF-8, and `ends`, where each ends."""
    letters, ends = bytes(tensors["text"].tolist()), [0, *tensors["ends"].tolist()]
    return [letters[a:b].decode() for a, b in zip(ends, ends[1:], strict=False)]
