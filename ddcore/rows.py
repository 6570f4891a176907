"""Row-separable data: a batch is `x` with labels. Images, series, clips and tables need nothing else."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import labels as kinds
from .errors import DataError, NotSupported
from .labels import LabelKind, Labels
from .parametrizations.base import Synthetic
from .problem import DataSource, Metric, Output, Problem, Task
from .seeds import generator

__all__ = ["Classification", "RowData", "RowSynthetic", "Rows", "TeacherLabels", "row_set"]


@dataclass(frozen=True)
class Rows:
    """Rows and their labels: `y` holds class numbers or probabilities; `values` unconstrained targets instead."""

    x: Tensor  # (n, ...)
    y: Tensor | None = None  # (n,) class ids, or (n, k) probabilities
    values: Tensor | None = None  # (n, k)
    temperature: float = 1.0  # what the logits behind `y` were divided by, and a network's are for the loss


class RowData(DataSource[Rows]):
    """Rows in memory: `x` (n, ...) and `y` (n,), and the row ids of each split."""

    separable = True

    def __init__(
        self,
        x: Tensor,  # (n, ...)
        y: Tensor,  # (n,)
        splits: Mapping[str, Sequence[int]],
        *,
        drawn: bool = False,  # the split was made here, not brought by the data
    ) -> None:
        if not torch.isfinite(x).all():
            bad = (~torch.isfinite(x.flatten(1)).all(1)).nonzero().flatten().tolist()
            raise DataError(
                f"{len(bad)} of {len(x)} rows hold NaN or infinity (first: row {bad[0]}): clean or drop them"
            )
        self.x, self.y = x, y
        self.splits = {name: list(ids) for name, ids in splits.items()}
        self.split = self.splits if drawn else None
        labels = y.tolist()
        index: dict[str, dict[int, list[int]]] = {}
        for name, ids in self.splits.items():
            for i in ids:
                index.setdefault(name, {}).setdefault(labels[i], []).append(i)
        self.index = index
        self.groups = sorted(index.get("train", {}))
        if not self.groups:
            raise DataError("the training split is empty: check the path and the split folders or columns")

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.splits.get(split, []) if group is None else self.index.get(split, {}).get(group, [])

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        chosen = torch.as_tensor(ids, device=self.x.device)
        return Rows(self.x[chosen], self.y[chosen])

    def to(self, device: torch.device) -> DataSource[Rows]:
        moved = copy.copy(self)  # of the subclass that it is
        moved.x, moved.y = self.x.to(device), self.y.to(device)
        return moved

    def bytes(self) -> int:
        row = self.x[:1].numel() * self.x.element_size() + self.y.element_size()
        return row * len(self.ids())


class RowSynthetic(Synthetic[Rows]):
    """Free rows with labels of any kind."""

    parametrization = "rows"

    def __init__(
        self, counts: Mapping[int, int], x: Tensor, labels: Labels | None = None, step_size: float = 0.01
    ) -> None:
        super().__init__(counts, step_size)
        self.x = nn.Parameter(x.detach().clone())  # (n, ...)
        y = torch.tensor([g for g, n in counts.items() for _ in range(n)], device=x.device)
        self.labels = labels or kinds.ids(y)

    @property
    def label_kind(self) -> LabelKind:  # type: ignore[override]
        return self.labels.kind

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        return Rows(self.x[list(ids)], *self.labels.rows(ids))

    def learn_labels(self, kind: LabelKind, start: Tensor) -> Self:  # (n, k)
        make = {"probabilities": kinds.probabilities, "values": kinds.values}[kind]
        self.labels = make(start.detach().clone().to(self.x.dtype), learn=True).to(self.x.device)
        return self

    def relabel(self, batch: Rows, ids: Sequence[int], epoch: int) -> Rows:
        if isinstance(self.labels, TeacherLabels):
            return replace(batch, y=self.labels.of(batch), values=None, temperature=self.labels.temperature)
        if self.labels.kind == "per-epoch":
            if batch.y is None or not torch.equal(batch.y, self.labels.stored[0, list(ids)]):
                raise NotSupported(
                    "the set stores a label of each row for every epoch, and this protocol mixes rows, of which no label is "
                    "stored: choose one that does not (matching@1), or store the teacher"
                )
            y, values = self.labels.rows(ids, epoch)
            return replace(batch, y=y, values=values)
        return batch

    def stored(self) -> dict[str, Tensor]:
        found = super().stored()
        if isinstance(self.labels, TeacherLabels):
            found |= {f"teacher.{k}": v.detach() for k, v in self.labels.teacher.state_dict().items()}
        elif self.labels.kind == "per-epoch":
            found["y"] = self.labels.stored
        return found

    def config(self) -> dict[str, Any]:
        teacher = self.labels.config() if isinstance(self.labels, TeacherLabels) else {}
        return {**super().config(), **teacher}

    @classmethod
    def restore(cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RowSynthetic:
        kind: LabelKind = config["labels"]
        if kind == "teacher":
            labels: Labels = TeacherLabels.restore(problem, config, tensors)
        elif kind == "per-epoch":
            labels = kinds.per_epoch(tensors["y"])
        else:
            labels = Labels(kind, tensors["values"] if kind == "values" else tensors["y"])
        return cls(dict(config["counts"]), tensors["x"], labels)


class TeacherLabels(Labels):
    """A teacher that labels each augmented view on the fly; it is stored, and its bytes count."""

    def __init__(self, teacher: nn.Module, model: str, y: Tensor, temperature: float = 1.0) -> None:  # y: (n,)
        super().__init__("teacher", y)
        self.teacher, self.model, self.temperature = teacher.eval().requires_grad_(False), model, temperature

    def rows(self, ids: Sequence[int], epoch: int = 0) -> tuple[Tensor | None, Tensor | None]:
        return self.stored[list(ids)], None

    @torch.no_grad()
    def of(self, batch: Rows) -> Tensor:  # (n, k)
        """The teacher's probabilities on the view that the network sees."""
        logits: Tensor = self.teacher.eval()(batch).logits
        return (logits / self.temperature).softmax(-1)

    def config(self) -> dict[str, Any]:
        return {"teacher": self.model, "temperature": self.temperature}

    @classmethod
    def restore(cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TeacherLabels:
        teacher = problem.new_model(random.Random(0), config["teacher"])
        prefix = "teacher."
        teacher.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        return cls(teacher, config["teacher"], tensors["y"], config["temperature"])


def _row_set(
    shape: Sequence[int], deviation: float, counts: Mapping[int, int], start: Rows | None, rng: random.Random
) -> RowSynthetic:
    if start is not None:
        return RowSynthetic(counts, start.x)
    return RowSynthetic(counts, deviation * torch.randn(sum(counts.values()), *shape, generator=generator(rng)))


def row_set(shape: Sequence[int], deviation: float = 1.0) -> partial[RowSynthetic]:
    """What a row-separable problem passes as `synthetic`: rows of `shape` (...), from a start batch or from noise."""
    return partial(_row_set, tuple(shape), deviation)


class Classification(Task[Rows]):
    """k classes: cross-entropy on class numbers and probabilities, squared error on values; accuracy.

    A teacher's probabilities at a temperature T are matched there: T^2 times the cross-entropy of the softmax of logits / T,
    whose gradient keeps its size as T grows (Hinton et al. 2015, section 2.1)."""

    metrics = (Metric("accuracy"),)

    def __init__(self, k: int) -> None:
        self.k = k

    def targets(self, batch: Rows) -> Tensor:  # (n, k)
        if batch.values is not None:
            return batch.values
        assert batch.y is not None, "a batch carries y or values"
        return kinds.one_hot(batch.y, self.k) if batch.y.ndim == 1 else batch.y

    def harden(self, batch: Rows) -> Rows:
        return replace(batch, y=self.targets(batch).argmax(1), values=None)

    def losses(self, out: Output, batch: Rows) -> Tensor:  # (n,)
        if batch.values is not None:
            return (out.logits - batch.values).square().mean(1)
        assert batch.y is not None, "a batch carries y or values"
        t: float = getattr(batch, "temperature", 1.0)  # a graph has none
        return t**2 * F.cross_entropy(out.logits / t, batch.y, reduction="none")

    def score(self, pairs: Iterable[tuple[Output, Rows]]) -> Mapping[str, float]:
        hits = [out.logits.argmax(1) == self.targets(batch).argmax(1) for out, batch in pairs]
        return {"accuracy": torch.cat(hits).double().mean().item()}
