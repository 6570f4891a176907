"""Texts that a language model writes as they are asked for."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddcore.parametrizations import Synthetic
from ddcore.problem import Problem
from ddcore.rows import Rows

from ..batch import Sentences
from ..data import token_space
from ..decode import Reading
from ..language_model import LanguageModel

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["GeneratedTexts"]


class GeneratedTexts(Synthetic[Rows]):
    """The set is a language model: its parameters are learned and stored, and each row is drawn from it anew, in its class."""

    parametrization = "text/generated"

    def __init__(self, space: TokenSpace, counts: Mapping[int, int], model: LanguageModel) -> None:
        super().__init__(counts)
        self.space, self.model = space, model
        self.of = [g for g, n in counts.items() for _ in range(n)]

    def write(self, y: Tensor, rng: random.Random) -> Tensor:  # (n,) -> (n, t)
        """Token ids of new texts of the classes y, without what begins and ends every text."""
        return self.model.sample(y, self.space.room, rng)

    def sentences(self, tokens: Tensor, y: Tensor) -> Sentences:  # (n, t), (n,)
        """Written tokens as networks read them."""
        x, mask = self.space.framed(tokens, tokens != self.space.pad)
        return Sentences(x, y, mask=mask)

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        y = torch.tensor([self.of[i] for i in ids], device=self.log_step_size.device)
        return self.sentences(self.write(y, rng or random.Random(0)), y)

    def readings(self) -> list[Reading]:
        """One draw of every row."""
        batch = self.batch(rng=random.Random(0))
        return [Reading(self.space.decode(row)) for row in batch.x.tolist()]

    def stored(self) -> dict[str, Tensor]:
        return {f"model.{k}": x.detach() for k, x in self.model.state_dict().items()}

    @classmethod
    def restore(
        cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> GeneratedTexts:
        space = token_space(problem)
        hidden = tensors["model.gru.weight_hh_l0"].shape[1]
        model = LanguageModel(space, len(problem.class_names), hidden).eval()
        model.load_state_dict({k.removeprefix("model."): x for k, x in tensors.items() if k.startswith("model.")})
        return cls(space, dict(config["counts"]), model)
