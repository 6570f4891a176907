"""Synthetic: a learnable dataset. Write `take`; everything else has a default."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from ..errors import BudgetError, NotSupported, OptionError
from ..labels import LabelKind
from ..problem import DataSource, Problem, tensors
from ..seeds import stream

__all__ = ["RealRows", "Selected", "Synthetic"]
B = TypeVar("B")


class Synthetic(nn.Module, Generic[B]):
    """Decoded rows are numbered 0 .. n-1, group-major: `counts[g]` rows of each group, in the order of `counts`."""

    parametrization: ClassVar[str] = ""
    """The entry (kind `parametrization`) that reopens a stored set: "rows", "graph/pair-mlp"."""

    label_kind: LabelKind = "ids"

    train_steps: int | None = None
    """How many training steps the set itself prescribes; None: as many as the recipe asks."""

    provenance: ClassVar[Collection[str]] = ()
    """Names in `stored` that say where the rows are from: nobody trains on them, and they count in no budget."""

    blocks: int = 1
    """The data blocks of a set that prescribes its steps, which take turns: block b is rows b, b + blocks ... of each group."""

    def __init__(self, counts: Mapping[int, int], step_size: float = 0.01) -> None:
        super().__init__()
        self.counts = dict(counts)
        self.log_step_size = nn.Parameter(torch.tensor(float(step_size)).log(), requires_grad=False)  # () or (steps,)

    # ------------------------------------------------------------------------------------------------ must be written

    @abstractmethod
    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        """The rows `ids`, decoded, differentiable, in that order."""

    # ------------------------------------------------------------------------------------------------ rows and batches

    def ids(self, groups: int | Sequence[int] | None = None) -> list[int]:
        """The row numbers of a group, of some groups in the order given, or of all."""
        start, spans = 0, {}
        for g, n in self.counts.items():
            spans[g] = range(start, start + n)
            start += n
        chosen = spans if groups is None else [groups] if isinstance(groups, int) else groups
        return [i for g in chosen for i in spans[g]]

    def batch(self, groups: int | Sequence[int] | None = None, rng: Random | None = None) -> B:
        """All rows of the groups, group-major."""
        return self.take(self.ids(groups), rng)

    @property
    def stored_counts(self) -> Mapping[int, int]:
        """How many rows each group is stored as: real rows of equal budget are as many. A packed set decodes to more."""
        return self.counts

    # ------------------------------------------------------------------------------------------------ training on it

    def begin(self, net: nn.Module) -> nn.Module:
        """A fresh network as training on the set begins: as it came, unless the set was made for one start (DD, Wang et al.
        2018, section 3.3: fixed initialisation)."""
        return net

    def step_size(self, t: int = 0, name: str = "") -> Tensor:  # () > 0
        """The learning rate of training step t (of tower `name`): positive by construction. Where each step has its own, they
        start over after the last."""
        size = self.log_step_size
        return (size[t % len(size)] if size.ndim else size).exp()

    @torch.no_grad()
    def start_step_size(self, value: float) -> Self:
        """Sets the step size that training on the set starts from, learned or not."""
        self.log_step_size.fill_(math.log(value))
        return self

    def learn_step_size(self) -> Self:
        """Makes the step size a parameter that an objective may move."""
        self.log_step_size.requires_grad_(True)
        return self

    def prescribe(self, steps: int, blocks: int = 1, step_size: float = 0.01) -> Self:
        """The set ends training itself (DD, Wang et al. 2018): `steps` steps of plain SGD, each with a learned step size of
        its own, on `blocks` data blocks in turn."""
        if not 1 <= blocks <= max(self.counts.values()):
            raise OptionError(f"{blocks} blocks of {max(self.counts.values())} rows a group: give 1 to that many")
        self.train_steps, self.blocks = steps, blocks
        self.log_step_size = nn.Parameter(self.log_step_size.new_full((steps,), math.log(step_size)))
        return self

    def learn_labels(self, kind: LabelKind, start: Tensor) -> Self:  # (rows, k)
        """Makes the labels a parameter of kind "probabilities" or "values" that an objective may move, from `start`."""
        raise NotSupported(f"{type(self).__name__} cannot learn its labels: choose a method that keeps them")

    def epoch(self, t: int, size: int | None) -> int:
        """The epoch that training step t belongs to."""
        if self.train_steps is not None:
            return t // self.blocks
        n = sum(self.counts.values())
        return t if size is None or size >= n else t // -(-n // size)

    def order(self, t: int, seed: int, size: int | None) -> list[int]:
        """The rows of training step t: its data block where the set prescribes its steps; else the whole set, or minibatches of
        a fresh permutation per epoch."""
        if self.train_steps is not None:
            return [i for g in self.counts for i in self.ids(g)[t % self.blocks :: self.blocks]]
        ids = self.ids()
        if size is None or size >= len(ids):
            return ids
        epoch, k = divmod(t, -(-len(ids) // size))
        stream(seed, "order", epoch).shuffle(ids)
        return ids[k * size : (k + 1) * size]

    def relabel(self, batch: B, ids: Sequence[int], epoch: int) -> B:
        """The augmented batch of rows `ids` with the labels of that epoch or view; most sets store one label a row."""
        return batch

    def train_batch(self, problem: Problem[B], t: int, seed: int, size: int | None = None) -> tuple[B, Tensor]:
        """Training step t as a pure function of (t, seed): a batch ready for the network, augmented and labelled, and its
        step size. So any step can be asked for again (replay), or first (a window)."""
        rng, ids = stream(seed, "batch", t), self.order(t, seed, size)
        batch = problem.augment("train", self.take(ids, rng), rng.getrandbits(31))
        return self.relabel(batch, ids, self.epoch(t, size)), self.step_size(t)

    # ------------------------------------------------------------------------------------------------ being learned

    def leaves(self) -> list[nn.Parameter]:
        """dL/dS is with respect to these."""
        return [p for p in self.parameters() if p.requires_grad]

    def param_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups, every leaf once; the name is what a schedule switches on and off."""
        named = {n: p for n, p in self.named_parameters() if p.requires_grad}
        steps = [p for n, p in named.items() if n.endswith("step_size")]
        labels = [p for n, p in named.items() if n.startswith("labels.")]
        rows = [p for p in named.values() if all(p is not q for q in (*steps, *labels))]
        groups = (("rows", rows), ("labels", labels), ("step_size", steps))
        return [{"name": name, "params": params} for name, params in groups if params]

    def moves(self, step: int) -> Collection[str] | None:
        """The names of the parameter groups that move at this step; None: all."""
        return None

    def penalty(self) -> Tensor:  # ()
        """Added by the loop once per update; objectives never do."""
        return torch.zeros(())

    def project(self) -> None:
        """After each update, without grad: clamping, simplex, tokens."""

    # ------------------------------------------------------------------------------------------------ being stored

    def stored(self) -> dict[str, Tensor]:
        """The tensors of `data.safetensors`: the decoded rows by field name, or codes and decoder where a set has them;
        and the step sizes where they were learned."""
        with torch.no_grad():
            found = dict(tensors(self.batch()))
        if self.log_step_size.requires_grad or self.log_step_size.ndim:
            found["log_step_size"] = self.log_step_size.detach()
        return found

    def config(self) -> dict[str, Any]:
        """What `restore` needs beside the tensors, as JSON."""
        prescribed = {} if self.train_steps is None else {"train_steps": self.train_steps, "blocks": self.blocks}
        return {"counts": [[g, n] for g, n in self.counts.items()], "labels": self.label_kind, **prescribed}

    @classmethod
    def reopen(cls, problem: Problem[B], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Synthetic[B]:
        """The set that `stored` and `config` describe: `restore`, and the training that any set may prescribe."""
        made = cls.restore(problem, config, tensors)
        if "log_step_size" in tensors:
            made.log_step_size = nn.Parameter(tensors["log_step_size"].clone())
        if "train_steps" in config:
            made.train_steps, made.blocks = config["train_steps"], config["blocks"]
        return made

    @classmethod
    def restore(cls, problem: Problem[B], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Synthetic[B]:
        """The rows that `stored` and `config` describe; third parties write it for their own parametrizations."""
        raise NotImplementedError(f"{cls.__name__} does not say how it is reopened: write `restore`")


class RealRows(Synthetic[B]):
    """Real rows where they stand, among all the others: what a network on the whole data is trained on."""

    def __init__(self, data: DataSource[B], ids: Mapping[int, Sequence[int]], step_size: float = 0.01) -> None:
        super().__init__({g: len(chosen) for g, chosen in ids.items()}, step_size)
        self.data, self.chosen = data, [i for chosen in ids.values() for i in chosen]

    @classmethod
    def all(cls, data: DataSource[B]) -> Self:
        """Every training row."""
        return cls(data, {g: data.ids(g) for g in data.groups})

    def take(self, ids: Sequence[int], rng: Random | None = None) -> B:
        return self.data.take([self.chosen[i] for i in ids], rng)


class Selected(RealRows[B]):
    """Real rows that are stored alone, held by id: a coreset, and the random baseline of every report."""

    parametrization = "selected"
    provenance = ("ids",)

    def __init__(self, data: DataSource[B], ids: Mapping[int, Sequence[int]], step_size: float = 0.01) -> None:
        super().__init__(data.kept([i for chosen in ids.values() for i in chosen]), ids, step_size)

    @classmethod
    def random(cls, data: DataSource[B], counts: Mapping[int, int], rng: Random) -> Selected[B]:
        """Uniform rows of each group, without replacement."""
        for g, n in counts.items():
            if n > len(data.ids(g)):
                raise BudgetError(
                    f"group {g} has {len(data.ids(g))} training rows and {n} are asked for: lower the budget"
                )
        return cls(data, {g: rng.sample(list(data.ids(g)), n) for g, n in counts.items()})

    def stored(self) -> dict[str, Tensor]:
        return {**super().stored(), "ids": torch.tensor(self.chosen)}

    @classmethod
    def restore(cls, problem: Problem[B], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Selected[B]:
        chosen, ids, at = tensors["ids"].tolist(), {}, 0
        for g, n in config["counts"]:
            ids[g], at = chosen[at : at + n], at + n
        return cls(problem.data, ids)
