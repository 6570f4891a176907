"""Training: how an expert is trained on real rows, and the path that it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import Diverged, NotSupported, OptionError
from ..inner import grads, trainable
from ..problem import DataSource, Problem, Subset
from ..seeds import stream, torch_seeded
from .flat import flat_gradients

__all__ = ["Curriculum", "Path", "Pretrained", "Ranked", "Training"]
B = TypeVar("B")


@dataclass(frozen=True)
class Curriculum:
    """Which of a group's rows an epoch sees, where they come the easiest first (in data that is `Ranked`, or whose ids are in
    that order): at first a part of them, linearly more up to all at epoch `whole`, and after epoch `harder` all but the easiest
    (PAD; Li et al. 2024, section 3.2)."""

    first: float = 0.75
    whole: int = 20
    harder: int = 40
    dropped: float = 0.1  # the part that is dropped then

    def rows(self, ids: Sequence[int], epoch: int) -> Sequence[int]:
        """Those of `ids` that the epoch, counted from 0, sees."""
        if epoch > self.harder:
            return ids[int(self.dropped * len(ids)) :]
        share = 1.0 if epoch >= self.whole else self.first + (1 - self.first) * epoch / self.whole
        return ids[: max(int(share * len(ids)), 1)]


class Ranked(Subset[B]):
    """The same data, whose training rows have a difficulty. They stay in their order, so that a curriculum of all rows trains as
    none does."""

    def __init__(self, data: DataSource[B], difficulty: Mapping[int, float]) -> None:
        super().__init__(data, difficulty)
        self.difficulty = difficulty

    def easiest(self, group: int) -> list[int]:
        """The training rows of a group, the easiest first."""
        return sorted(self.ids(group), key=lambda i: self.difficulty[i])

    def fingerprint(self) -> str:
        """Of the rows and of who comes before whom."""
        said = [self.data.fingerprint(), [self.easiest(g) for g in self.groups]]
        return sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True)
class Training:
    """How an expert is trained: SGD at a constant learning rate, as MTT's (Cazenavette et al., CVPR 2022).

    The first epochs of a training are an early window: ask for few. A late one starts at `first`.
    """

    epochs: int = 50
    lr: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    size: int = 256  # rows a minibatch
    augment: str | None = "train"  # of the problem, where it has that one
    stride: int = 1  # epochs between snapshots
    first: int = 0  # the epoch of the first snapshot that is kept
    half: bool = False  # snapshots are stored in float16
    rho: float = 0.0  # radius of flat training (SAM); 0: plain gradients
    alpha: float = 0.0  # weight of GSAM's second part; FTD: rho 0.01, alpha 0.4
    curriculum: Curriculum | None = None  # None: every epoch sees all rows

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.size < 1 or self.stride < 1 or self.rho < 0:
            raise OptionError(f"epochs and rho are at least 0, size and stride at least 1: got {self}")
        if self.epochs % self.stride or self.first % self.stride or not 0 <= self.first <= self.epochs:
            raise OptionError(
                f"epochs and first are multiples of stride, and first is an epoch: got epochs {self.epochs}, "
                f"first {self.first}, stride {self.stride}"
            )

    @property
    def snapshots(self) -> int:
        """Snapshots of a path, those before `first` among them."""
        return self.epochs // self.stride + 1


@dataclass(frozen=True)
class Pretrained:
    """A network of a zoo that takes a training of its own before an expert's begins. Experts on it are found by the network as
    it was before and by `said`: none is trained to be looked for."""

    make: Callable[[], nn.Module]
    train: Callable[[nn.Module], nn.Module]
    said: str  # what `train` depends on

    def __call__(self) -> nn.Module:
        return self.train(self.make())


class Path:
    """A network on its way: `advance()` trains it for one epoch. A path that loads the state of another goes on as that one
    would, bit for bit: every draw is a function of the seed and the epoch."""

    def __init__(self, problem: Problem[Any], training: Training, seed: int, model: str | None = None) -> None:
        self.problem, self.training, self.seed, self.epoch = problem, training, seed, 0
        self.net = problem.new_model(stream(seed, "expert"), model).train()
        if callable(getattr(self.net, "fit", None)):
            raise NotSupported(f"{model} of {problem.name} trains itself: it takes no path. Choose another model")
        self.params = trainable(self.net)
        self.opt = torch.optim.SGD(
            self.params, lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
        )

    @property
    def steps_an_epoch(self) -> int:
        """Minibatches of the epoch that comes next."""
        return -(-len(self._rows()) // self.training.size)

    def _rows(self) -> list[int]:
        data, curriculum = self.problem.data, self.training.curriculum
        if curriculum is None:
            return [i for g in data.groups for i in data.ids(g)]
        easiest = data.easiest if isinstance(data, Ranked) else data.ids
        seen = {i for g in data.groups for i in curriculum.rows(easiest(g), self.epoch)}
        return [i for g in data.groups for i in data.ids(g) if i in seen]

    def snapshot(self) -> dict[str, Tensor]:
        """The trainable parameters as they are now: copies on the CPU, of the dtype that they are stored in."""
        return {
            name: p.detach().to("cpu", torch.float16 if self.training.half else p.dtype, copy=True)
            for name, p in self.net.named_parameters()
            if p.requires_grad
        }

    def advance(self, steps: int | None = None) -> None:
        """One epoch, or its first steps. Raises Diverged where the parameters leave the finite numbers."""
        with torch_seeded(self.seed, "epoch", self.epoch):  # dropout
            for batch in islice(self._batches(), steps):
                self._step(batch)
        self.epoch += 1
        if not all(bool(p.isfinite().all()) for p in self.params):
            raise Diverged(
                f"an expert of {self.problem.name} diverged in epoch {self.epoch} at learning rate {self.training.lr:g}: "
                "lower it by a factor of 3 to 10"
            )

    def _batches(self) -> Iterator[Any]:
        data, size, augment = self.problem.data, self.training.size, self.training.augment
        rng, order = stream(self.seed, "epoch", self.epoch), self._rows()
        rng.shuffle(order)
        for i in range(0, len(order), size):
            yield self.problem.augment(augment, data.take(order[i : i + size], rng), rng.getrandbits(31))

    def _step(self, batch: Any) -> None:
        def loss() -> Tensor:
            return self.problem.loss(self.net, batch)

        rho, alpha = self.training.rho, self.training.alpha
        found = flat_gradients(self.net, self.params, loss, rho=rho, alpha=alpha) if rho else grads(loss(), self.params)
        for p, g in zip(self.params, found, strict=True):
            p.grad = g
        self.opt.step()

    def state(self) -> dict[str, Any]:
        """What goes on from here needs."""
        return {"epoch": self.epoch, "net": dict(self.net.state_dict()), "optimiser": self.opt.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from the state of another path of the same problem, training and seed."""
        self.epoch = state["epoch"]
        self.net.load_state_dict(state["net"])
        self.opt.load_state_dict(state["optimiser"])

    @torch.no_grad()
    def score(self) -> dict[str, float]:
        """The task's metrics on val; empty where there are no such rows."""
        if not self.problem.data.ids(split="val"):
            return {}
        self.net.eval()
        found = self.problem.task.score((self.net(batch), batch) for batch in self.problem.data.batches("val"))
        self.net.train()
        return dict(found)
