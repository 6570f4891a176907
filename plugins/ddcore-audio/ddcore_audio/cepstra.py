"""Tied cepstra: a set of FD-MFCC that stores the cepstra alone; their differences follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ddcore.rows import Rows, RowSynthetic

from .sound import Sound, sound_of

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from ddcore.labels import Labels
    from ddcore.problem import Problem

__all__ = ["Cepstra"]


class Cepstra(RowSynthetic):
    """Normalised cepstra (n, 1, coefficients, frames); `take` adds the planes of their first and second differences. A waveform
    recovered from the cepstra has these differences, which free planes need not agree with."""

    parametrization = "audio/cepstra"

    def __init__(
        self, counts: Mapping[int, int], x: Tensor, sound: Sound, labels: Labels | None = None
    ) -> None:  # x: (n, 1 or 3, coefficients, frames), of which the first plane is kept
        super().__init__(counts, x[:, :1], labels)
        self.sound = sound

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        features = self.sound.features.to(self.x.device)
        cepstra = self.x[list(ids)] * features.std[:1].to(self.x) + features.mean[:1].to(self.x)
        return Rows(features.normalise(features.with_differences(cepstra)), *self.labels.rows(ids))

    def stored(self) -> dict[str, Tensor]:
        return {**super().stored(), "x": self.x.detach()}

    @classmethod
    def restore(cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Cepstra:
        labels = RowSynthetic.restore(problem, config, tensors).labels
        return cls(dict(config["counts"]), tensors["x"], sound_of(problem), labels)
