"""Clicks: rows of categorical fields, and the dense relaxations that can be learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ddcore.parametrizations.base import Synthetic
from ddcore.problem import DataSource, Metric, Output, Problem, Task
from ddcore.rows import RowData
from ddcore.seeds import generator

if TYPE_CHECKING:
    import random

__all__ = ["ClickData", "ClickSet", "Clicks", "Clicking", "click_set"]


@dataclass(frozen=True)
class Clicks:
    """Rows of F fields: a value of each by number, or a weight of every value of every field, all V of them side by side."""

    x: Tensor  # (n, F) values, or (n, V) weights
    y: Tensor  # (n,) 1 for a click


class ClickData(DataSource[Clicks]):
    """Rows in memory; `sizes` says how many values each field has. The groups are 0 and 1, not clicked and clicked."""

    separable = True

    def __init__(
        self, x: NDArray[np.int64], y: NDArray[np.int64], splits: Mapping[str, Sequence[int]], *, drawn: bool
    ) -> None:  # (n, F), (n,)
        self.rows = RowData(torch.zeros(len(y), 0), torch.from_numpy(y), splits, drawn=drawn)
        self.x = torch.from_numpy(x)
        self.sizes = tuple(int(v) + 1 for v in x.max(0))
        self.groups, self.split = self.rows.groups, self.rows.split

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.rows.ids(group, split)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Clicks:
        at = torch.as_tensor(ids)
        return Clicks(self.x[at], self.rows.y[at])


class Clicking(Task[Clicks]):
    """Will they click: cross-entropy of two classes; the area under the ROC curve, equal scores counting half, and the mean
    cross-entropy over the split."""

    metrics = (Metric("AUC"), Metric("log loss", 0.0, float("inf"), higher_is_better=False))

    def targets(self, batch: Clicks) -> Tensor:  # (n, 2)
        return F.one_hot(batch.y.long(), 2).to(torch.get_default_dtype())

    def losses(self, out: Output, batch: Clicks) -> Tensor:  # (n,)
        return F.cross_entropy(out.logits, batch.y.long(), reduction="none")

    def score(self, pairs: Iterable[tuple[Output, Clicks]]) -> Mapping[str, float]:
        from scipy.stats import rankdata

        found = [(out.logits.cpu().double(), batch.y.cpu()) for out, batch in pairs]
        logits, y = (torch.cat(part) for part in zip(*found, strict=True))
        lead = (logits[:, 1] - logits[:, 0]).numpy()
        clicked = int(y.sum())
        others = len(y) - clicked
        total = float(rankdata(lead)[y.numpy() == 1].sum()) - clicked * (clicked + 1) / 2
        auc = total / (clicked * others) if clicked and others else 0.5
        return {"AUC": auc, "log loss": float(F.cross_entropy(logits, y.long()))}


class ClickSet(Synthetic[Clicks]):
    """CGM's relaxation (Wang et al., RecSys 2023): for each field of a fake row a distribution over its values."""

    parametrization = "recommender/clicks"

    def __init__(self, counts: Mapping[int, int], sizes: Sequence[int], x: Tensor, step_size: float = 0.01) -> None:
        super().__init__(counts, step_size)
        self.sizes = tuple(sizes)
        self.x = nn.Parameter(x.detach().clone())  # (n, V) weights, that sum to 1 in each field
        self.register_buffer("y", torch.tensor([g for g, n in counts.items() for _ in range(n)]))

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Clicks:
        return Clicks(self.x[list(ids)], self.get_buffer("y")[list(ids)])

    def project(self) -> None:
        for field in self.x.clamp_(min=0).split(self.sizes, 1):
            field.div_(field.sum(1, keepdim=True).clamp(min=1e-12))

    def config(self) -> dict[str, Any]:
        return {**super().config(), "sizes": list(self.sizes)}

    @classmethod
    def restore(cls, problem: Problem[Clicks], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        return cls(dict(config["counts"]), config["sizes"], tensors["x"])


def _click_set(sizes: tuple[int, ...], counts: Mapping[int, int], start: Clicks | None, rng: random.Random) -> ClickSet:
    if start is None:
        noise = torch.rand(sum(counts.values()), sum(sizes), generator=generator(rng))
        made = ClickSet(counts, sizes, noise)
        with torch.no_grad():
            made.project()
        return made
    if start.x.is_floating_point():
        return ClickSet(counts, sizes, start.x)
    parts = [F.one_hot(start.x[:, f], n) for f, n in enumerate(sizes)]
    return ClickSet(counts, sizes, torch.cat(parts, 1).float())


def click_set(sizes: Sequence[int]) -> partial[ClickSet]:
    """What a click problem passes as `synthetic`."""
    return partial(_click_set, tuple(sizes))
