"""The ground: what a problem is. Nothing here, and nothing above, looks inside a batch."""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .errors import DataError, NotSupported, UnknownName, choices
from .seeds import torch_seeded

if TYPE_CHECKING:
    from .parametrizations.base import Synthetic
    from .recipes import Recipe

__all__ = [
    "B",
    "DataSource",
    "Metric",
    "Output",
    "Preprocessing",
    "Problem",
    "Subset",
    "Task",
    "draw",
    "nbytes",
    "place",
    "tensors",
]
CPU = torch.device("cpu")
B = TypeVar("B")  # a batch: a frozen dataclass of tensors (and None), known to its plugin only


def tensors(batch: object) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch by field name: for fingerprints, bytes and devices, never for methods."""
    if not is_dataclass(batch):
        raise TypeError(f"a batch is a dataclass of tensors, got {type(batch).__name__}")
    for f in fields(batch):
        value = getattr(batch, f.name)
        if isinstance(value, Tensor):
            yield f.name, value


def place(batch: B, device: torch.device) -> B:
    """The batch with every tensor on `device`."""
    return replace(batch, **{name: x.to(device) for name, x in tensors(batch)})  # type: ignore[type-var]


def nbytes(batch: object) -> int:
    """Bytes of the batch's tensors."""
    return sum(x.numel() * x.element_size() for _, x in tensors(batch))


@dataclass(frozen=True)
class Output:
    """What every model returns. A row is a prediction: an image, a node, a position, a window."""

    logits: Tensor  # (rows, k)
    features: Tensor  # (rows, d)
    extras: Mapping[str, Any] = field(default_factory=dict)  # rows first; "layers": per-layer features

    @property
    def layers(self) -> Sequence[Tensor]:  # (rows, ...) each
        """What each layer of the body gave, the earliest first; the features alone where a network reports no layers."""
        found: Sequence[Tensor] = self.extras.get("layers", (self.features,))
        return found


# ---------------------------------------------------------------------------------------------------------------------
# data


class DataSource(ABC, Generic[B]):
    """Real data, in the splits train, val and test. Write `groups`, `ids` and `take`; the rest is derived."""

    groups: Sequence[int]
    """The strata that matching runs over: classes, or `(0,)` when unlabelled. Not contiguous, not balanced."""

    split: Mapping[str, Sequence[int]] | None = None
    """The ids of each split where the data brought none and it was drawn here; stored with the artifact."""

    separable: bool = False
    """Whether a batch is no more than its rows, one prediction each, and may be read in pieces; a whole graph is more."""

    @abstractmethod
    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        """The row ids of a split, of one group or of all; an absent split is empty."""

    @abstractmethod
    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> B:
        """The rows `ids`, in that order. Real data that is drawn (neighbours, crops) draws from `rng`."""

    def sample(self, n: int, groups: int | Sequence[int] | None = None, *, rng: random.Random) -> B:
        """n training rows; with groups, n rows of each, group-major. Without replacement where a group has n rows."""
        chosen = [groups] if groups is None or isinstance(groups, int) else groups
        return self.take([i for g in chosen for i in draw(self.ids(g), n, rng)], rng)

    def batches(self, split: str = "test", size: int = 256) -> Iterator[B]:
        """Every row of a split once, in order."""
        ids = self.ids(split=split)
        return (self.take(ids[i : i + size]) for i in range(0, len(ids), size))

    def kept(self, ids: Sequence[int]) -> DataSource[B]:
        """What remains of the data when only the training rows `ids` are stored; they keep their ids. The data itself where
        a row stands alone; of a graph the subgraph that these nodes induce."""
        return self

    def population(self) -> int:
        """What a ratio of all rows is of: those of every split; of a graph its nodes, also those in no split."""
        return sum(len(self.ids(split=split)) for split in ("train", "val", "test"))

    def quotas(self, rows: int, sizes: Mapping[int, int]) -> Mapping[int, int]:
        """How `rows`, at least one a group, part among groups of these sizes: each group's share or the whole number beside
        it, but at least one row. Fields that have a rule of their own write it."""
        return _proportional(rows, sizes)

    def to(self, device: torch.device) -> DataSource[B]:
        """The same data, whose batches come on `device`."""
        return _Placed(self, device)

    def fingerprint(self) -> str:
        """sha256 over every row of every split; file-backed data may hash its files instead."""
        digest = hashlib.sha256()
        for split in ("train", "val", "test"):
            for batch in self.batches(split):
                for name, x in tensors(batch):
                    digest.update(f"{split} {name} {x.dtype} {tuple(x.shape)}".encode())
                    digest.update(x.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def bytes(self) -> int:
        """Bytes of the training split, as tensors."""
        return sum(nbytes(batch) for batch in self.batches("train"))


def draw(ids: Sequence[int], n: int, rng: random.Random) -> list[int]:
    """n of `ids`: distinct ones where there are as many, else every one before any repeats."""
    if not ids:
        raise DataError("cannot sample from a group without training rows: leave it out of `groups`")
    whole, rest = divmod(n, len(ids))
    return [*ids] * whole + rng.sample(ids, rest)


def _proportional(rows: int, sizes: Mapping[int, int]) -> dict[int, int]:
    total = sum(sizes.values())
    shares = {g: rows * n / total for g, n in sizes.items()}
    counts = {g: max(int(share), 1) for g, share in shares.items()}
    while (missing := rows - sum(counts.values())) > 0:
        counts[max(counts, key=lambda g: shares[g] - counts[g])] += 1
    for _ in range(-missing):
        counts[max((g for g in counts if counts[g] > 1), key=lambda g: counts[g] - shares[g])] -= 1
    return counts


class _Derived(DataSource[B]):
    """A view of other data."""

    def __init__(self, data: DataSource[B]) -> None:
        self.data, self.groups, self.split, self.separable = data, data.groups, data.split, data.separable

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        return self.data.ids(group, split)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> B:
        return self.data.take(ids, rng)

    def kept(self, ids: Sequence[int]) -> DataSource[B]:
        return self.data.kept(ids)

    def population(self) -> int:
        return self.data.population()

    def quotas(self, rows: int, sizes: Mapping[int, int]) -> Mapping[int, int]:
        return self.data.quotas(rows, sizes)


class _Placed(_Derived[B]):
    def __init__(self, data: DataSource[B], device: torch.device) -> None:
        super().__init__(data)
        self.device = device

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> B:
        return place(self.data.take(ids, rng), self.device)

    def kept(self, ids: Sequence[int]) -> DataSource[B]:
        return _Placed(self.data.kept(ids), self.device)

    def fingerprint(self) -> str:
        return self.data.fingerprint()


class Subset(_Derived[B]):
    """The training rows `ids` of other data; val and test stay whole. Continual, federated and curriculum uses."""

    def __init__(self, data: DataSource[B], ids: Iterable[int]) -> None:
        super().__init__(data)
        self.rows = frozenset(ids)
        self.groups = [g for g in data.groups if any(i in self.rows for i in data.ids(g))]

    def ids(self, group: int | None = None, split: str = "train") -> Sequence[int]:
        ids = self.data.ids(group, split)
        return [i for i in ids if i in self.rows] if split == "train" else ids


# ---------------------------------------------------------------------------------------------------------------------
# task


@dataclass(frozen=True)
class Metric:
    """A score's name and range; fair scores need the range, comparisons the direction."""

    name: str
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True


class Task(ABC, Generic[B]):
    """What is to be learned. Write `metrics`, `losses`, `targets` and `score`."""

    metrics: Sequence[Metric]
    """What `score` returns, the main metric first."""

    @abstractmethod
    def losses(self, out: Output, batch: B) -> Tensor:  # (rows,)
        """The loss of each row, by the kind of label that the batch carries."""

    @abstractmethod
    def targets(self, batch: B) -> Tensor:  # (rows, k)
        """What the logits should be: one-hot rows, probabilities, values, interactions."""

    @abstractmethod
    def score(self, pairs: Iterable[tuple[Output, B]]) -> Mapping[str, float]:
        """The metrics over a whole split: AUC, F1 and recall@k are wrong as means of batches."""

    def weights(self, batch: B) -> Tensor | None:  # (rows,)
        """Row weights, or None where all rows count alike."""
        return None

    def harden(self, batch: B) -> B:
        """The batch with hard labels, each row's likeliest class. NotSupported where rows have no class."""
        raise NotSupported(f"{type(self).__name__} has no hard labels")

    def loss(self, out: Output, batch: B) -> Tensor:  # ()
        """The (weighted) mean of `losses`."""
        losses, w = self.losses(out, batch), self.weights(batch)
        return losses.mean() if w is None else (w * losses).sum() / w.sum()


# ---------------------------------------------------------------------------------------------------------------------
# problem


@dataclass(frozen=True)
class Preprocessing:
    """What was done to the raw data before any model sees it, and how to undo it; stored with the artifact."""

    name: str  # "normalise", "normalise+zca", "none"
    inverse: str = "x"  # a line of torch from a stored `x` and the tensors below back to raw data
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem(Generic[B]):
    """A data set, what is to be learned on it, and how its batches are augmented, embedded and synthesised."""

    name: str  # "image/digits"
    data: DataSource[B]
    task: Task[B]
    models: Mapping[str, Callable[[], nn.Module]]  # the zoo; the first is the default
    synthetic: Callable[[Mapping[int, int], B | None, random.Random], Synthetic[B]]
    """(counts, group-major start rows or None for noise, rng) -> the modality's plain parametrization"""
    recipe: Recipe
    """How networks are trained for evaluation unless another protocol is asked for."""
    augmentations: Mapping[str, Callable[[B, int], B]] = field(default_factory=dict)
    """(batch, seed) -> batch, pure. `match`: one record for the whole batch; `train`: a record per row; others by name.
    An attribute `version` on the callable enters the fingerprint."""
    corruptions: Mapping[str, Callable[[B, int], B]] = field(default_factory=dict)
    """(batch, seed) -> batch, pure: what real rows of a test may suffer (noise, blur, dropped words or edges); for robustness."""
    input_space: str = "raw"  # one for all models: an embedding table, a tokenizer, a frontend
    kernels: Mapping[str, Callable[[B, B], Tensor]] = field(default_factory=dict)  # (n rows, m rows) -> (n, m)
    preprocessing: Preprocessing = Preprocessing("none")
    class_names: Sequence[str] = ()
    render: Callable[[Synthetic[B], Path], Path] | None = None
    """(set, folder) -> the file written there that shows it: a gallery, a drawing, a page"""
    properties: Callable[[Synthetic[B]], Mapping[str, float]] | None = None
    """set -> what it is like in numbers, such as how dense a graph is: for the manifest, the card and `ddcore show`"""
    options: Mapping[str, Any] = field(default_factory=dict)  # what the problem was loaded with, beside its data path
    quick: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """method -> options that its quick preset has here: the core's learning rates are those of pixels of deviation 1."""
    device: torch.device = CPU

    def to(self, device: torch.device | str) -> Problem[B]:
        """The same problem, whose batches and new models live on `device`."""
        device = torch.device(device)
        return self if device == self.device else replace(self, data=self.data.to(device), device=device)

    def new_model(self, rng: random.Random, name: str | None = None) -> nn.Module:
        """A freshly initialised network of the zoo; the weights do not depend on the device."""
        name = name or next(iter(self.models))
        if name not in self.models:
            raise UnknownName(f"no model {name!r} in {self.name}.{choices(name, self.models)}")
        with torch_seeded(rng.getrandbits(63)):
            return self.models[name]().to(self.device)

    def augment(self, policy: str | None, batch: B, seed: int) -> B:
        """The batch under the policy's augmentation; unchanged where the problem has none of that name."""
        augmentation = None if policy is None else self.augmentations.get(policy)
        return batch if augmentation is None else augmentation(batch, seed)

    def training_with(self, policy: str | None) -> Problem[B]:
        """The same problem whose training batches are augmented by `policy` (None: not at all)."""
        others = {k: v for k, v in self.augmentations.items() if k != "train"}
        if policy is None:
            return replace(self, augmentations=others)
        if policy not in self.augmentations:
            raise NotSupported(f"{self.name} has no augmentation {policy!r}.{choices(policy, self.augmentations)}")
        return replace(self, augmentations={**others, "train": self.augmentations[policy]})

    def loss(self, net: nn.Module, batch: B, params: Mapping[str, Tensor] | None = None) -> Tensor:  # ()
        """The task's loss of `net` on `batch`, with its own parameters or with `params`."""
        out = net(batch) if params is None else functional_call(net, dict(params), (batch,))
        return self.task.loss(out, batch)

    def fingerprint(self) -> str:
        """What results depend on: data, preprocessing, augmentation versions and input space."""
        digest = hashlib.sha256(self.data.fingerprint().encode())
        digest.update(f"{self.preprocessing.name} {self.input_space}".encode())
        for name, augmentation in sorted(self.augmentations.items()):
            digest.update(f"{name} {getattr(augmentation, 'version', 'unversioned')}".encode())
        for key, x in sorted(self.preprocessing.tensors.items()):
            digest.update(key.encode() + x.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
