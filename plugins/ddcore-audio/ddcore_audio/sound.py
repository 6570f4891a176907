"""Sound: what the sets of an audio problem are made of, and how they are heard."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ddcore.errors import ArtifactError, NotSupported, OptionError
from ddcore.problem import Preprocessing
from ddcore.rows import Rows, RowSynthetic
from ddcore.seeds import generator

from .frontend import Features, Frontend
from .recovery import recover

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from torch import Tensor

    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

__all__ = ["Sound", "sound_of"]

WAVEFORM = re.compile(r"waveform\(unit=([^)]+)\) > ")


@dataclass(frozen=True)
class Sound:
    """An audio problem's `synthetic`: it makes the plain parametrization, free rows, from real ones or from noise."""

    features: Features  # the frontend and its normalisation
    scale: float | None = None  # rows are waveforms (samples,) in units of it; None: maps (planes, rows, frames)

    def __call__(self, counts: Mapping[int, int], start: Rows | None, rng: random.Random) -> RowSynthetic:
        return RowSynthetic(counts, self.rows(sum(counts.values()), rng) if start is None else start.x)

    @property
    def frontend(self) -> Frontend:
        """What networks hear of a waveform."""
        return self.features.frontend

    @property
    def waveforms(self) -> bool:
        """Whether rows are waveforms."""
        return self.scale is not None

    @property
    def space(self) -> str:
        """The input space in words, which `Sound.stored` reads again."""
        return f"{'' if self.scale is None else f'waveform(unit={self.scale!r}) > '}{self.frontend}"

    @property
    def preprocessing(self) -> Preprocessing:
        """From sound to rows: waveforms are divided by their unit; mean and deviation of maps stay what networks need."""
        done = self.features.preprocessing()
        return done if self.scale is None else Preprocessing("waveform", f"x * {self.scale!r}", done.tensors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        return (self.frontend.samples,) if self.waveforms else self.frontend.shape

    def rows(self, n: int, rng: random.Random) -> Tensor:  # (n, ...)
        """Noise to start from, of deviation 1 as real rows are."""
        return torch.randn(n, *self.shape, generator=generator(rng))

    @property
    def silence(self) -> Tensor:  # broadcasts to a row
        """A row of digital silence: a zero, or what the frontend makes of zeros, (planes, rows, 1)."""
        if self.waveforms:
            return torch.zeros(())
        with torch.no_grad():
            quiet = torch.zeros(1, self.frontend.samples, device=self.features.mean.device)
            maps: Tensor = self.features(quiet)
        return maps[0, :, :, :1]

    def waveform(self, x: Tensor) -> Tensor:  # (n, ...) -> (n, samples)
        """Rows as they sound: themselves, or recovered from maps."""
        if x.shape[1:] != self.shape:
            raise NotSupported(f"a row here is {self.shape}, and this one {tuple(x.shape[1:])}: it cannot be played")
        return recover(self.features, x) if self.scale is None else x.detach().cpu().float() * self.scale

    @classmethod
    def stored(cls, artifact: Artifact) -> Sound:
        """As the artifact records it. Raises ArtifactError for one that is not of audio."""
        said = artifact.manifest["input_space"]
        try:
            frontend, done = Frontend.parse(said), artifact.preprocessing.tensors
            features = Features(frontend, done["mean"], done["std"])
        except (OptionError, KeyError) as error:
            raise ArtifactError(f"{artifact!r} is in the input space {said!r}: expected an audio problem's") from error
        unit = WAVEFORM.match(said)
        return cls(features, None if unit is None else float(unit[1]))


def sound_of(problem: Problem[Any]) -> Sound:
    """The problem's sound. Raises NotSupported where it is no audio problem."""
    if not isinstance(problem.synthetic, Sound):
        raise NotSupported(f"{problem.name} is not an audio problem: its sets have no frontend")
    return problem.synthetic
