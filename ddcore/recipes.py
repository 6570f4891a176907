"""Recipes: named, versioned ways to train a network for evaluation. "Protocol" to users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["DECOUPLED", "IDC", "MATCHING", "MATCHING_AUGMENTED", "Cosine", "Drops", "Recipe", "Rule", "Schedule"]

Rule = Literal["sgd", "momentum", "adam", "adamw"]


@dataclass(frozen=True)
class Drops:
    """The learning rate is multiplied by `factor` after each of these parts of the epochs (whole epochs, rounded down) and as
    many epochs more as `late` says: 0 in torch's `MultiStepLR`, 1 in the code of DC, whose loop counts one epoch more."""

    after: tuple[float, ...] = (0.5,)
    factor: float = 0.1
    late: int = 1

    def __call__(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in that epoch, counted from 0."""
        return self.factor ** sum(epoch >= int(part * epochs) + self.late for part in self.after)

    def __str__(self) -> str:
        return f"times {self.factor:g} after {', '.join(f'{part:.0%}' for part in self.after)} of the epochs"


@dataclass(frozen=True)
class Cosine:
    """The learning rate falls along a cosine, to 0 at `end` times the epochs: 1, or 2 for the half cosine of RDED's code."""

    end: float = 1.0

    def __call__(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in that epoch, counted from 0."""
        return 0.5 * (1 + math.cos(math.pi * epoch / (self.end * epochs)))

    def __str__(self) -> str:
        return "falling along a cosine" if self.end == 1 else f"falling along the first {1 / self.end:.0%} of a cosine"


Schedule = Drops | Cosine


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a set, and which epoch's network is scored: never the best on test."""

    name: str  # "matching@1"
    epochs: int = 300
    size: int | None = 256  # rows a minibatch; None: the whole set
    rule: Rule = "momentum"
    lr: float | None = 0.01  # None: the set's own step sizes
    weight_decay: float = 5e-4
    schedule: Schedule | None = Drops()  # of the learning rate; None: constant
    augment: str | None = None  # the problem's augmentation that training batches go through
    keep: Literal["last", "val"] = (
        "last"  # the network of the last epoch, or of the epoch that is best on real val rows
    )
    val_every: int = 1  # epochs between two scores on val

    def steps(self, rows: int) -> int:
        """Updates of one training on `rows` rows."""
        return self.epochs * (1 if self.size is None else -(-rows // self.size))

    def factor(self, epoch: int) -> float:
        """What the learning rate is multiplied by in that epoch."""
        return 1.0 if self.schedule is None else self.schedule(epoch, self.epochs)

    @property
    def epoch_rule(self) -> str:
        """Which epoch's network is scored, in words."""
        return "last" if self.keep == "last" else f"best on val (every {self.val_every})"


MATCHING = Recipe("matching@1")
"""The evaluation of DC, DM and MTT (Zhao et al. 2021, their `evaluate_synset`): SGD 0.01, momentum 0.9, weight decay
5e-4, batches of 256, 300 epochs, the learning rate a tenth after half of them, no augmentation."""

MATCHING_AUGMENTED = Recipe("matching-augmented@1", epochs=1000, augment="train")
"""The same with siamese augmentation's per-row draws and 1,000 epochs (Zhao and Bilen 2021, DSA; DM)."""

IDC = Recipe("idc@1", epochs=1000, size=64, schedule=Drops((2 / 3, 5 / 6), 0.2, late=0), augment="mixed")
"""The evaluation of IDC, DREAM and NCFM's predecessors (Kim et al. 2022, their test): SGD 0.01, momentum 0.9, weight decay
5e-4, batches of 64, 1,000 epochs, the learning rate a fifth after two thirds and again after five sixths, siamese augmentation
and CutMix on every other batch."""

DECOUPLED = Recipe(
    "decoupled@1", size=128, rule="adamw", lr=1e-3, weight_decay=0.01, schedule=Cosine(), augment="mixed"
)
"""The evaluation of SRe2L, CDA and their line (Yin et al. 2023, Yin and Shen 2024): AdamW 0.001, weight decay 0.01, batches of
128, 300 epochs, the learning rate falling along a cosine, mixed rows. The labels are the set's own: a teacher's, where it has
one, which labels each mixed view at its temperature and the random rows beside the set too."""
