"""Recipes: named, versioned ways to train a network for evaluation. "Protocol" to users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MATCHING", "MATCHING_AUGMENTED", "Recipe", "Rule"]

Rule = Literal["sgd", "momentum", "adam", "adamw"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a set, and which epoch's network is scored: never the best on test."""

    name: str  # "matching@1"
    epochs: int = 300
    size: int | None = 256  # rows a minibatch; None: the whole set
    rule: Rule = "momentum"
    lr: float | None = 0.01  # None: the set's own step sizes
    weight_decay: float = 5e-4
    drop_after: float | None = 0.5  # the learning rate falls to a tenth after this part of the epochs
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
        return 0.1 if self.drop_after is not None and epoch > self.drop_after * self.epochs else 1.0


MATCHING = Recipe("matching@1")
"""The evaluation of DC, DM and MTT (Zhao et al. 2021, their `evaluate_synset`): SGD 0.01, momentum 0.9, weight decay
5e-4, batches of 256, 300 epochs, the learning rate a tenth after half of them, no augmentation."""

MATCHING_AUGMENTED = Recipe("matching-augmented@1", epochs=1000, augment="train")
"""The same with siamese augmentation's per-row draws and 1,000 epochs (Zhao and Bilen 2021, DSA; DM)."""
