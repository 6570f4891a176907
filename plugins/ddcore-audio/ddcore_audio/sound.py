"""Sound: what the sets of an audio problem are made of, and how they are heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ddcore.errors import ArtifactError, NotSupported, OptionError
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

__all__ = ["Sound", "input_space", "sound_of"]

WAVEFORM = "waveform > "


def input_space(frontend: Frontend, *, waveforms: bool) -> str:
    """What a problem's networks read, in words that `Sound.stored` reads again."""
    return f"{WAVEFORM if waveforms else ''}{frontend}"


@dataclass(frozen=True)
class Sound:
    """An audio problem's `synthetic`: it makes the plain parametrization, free rows, from real ones or from noise."""

    features: Features  # the frontend and its normalisation
    waveforms: bool = False  # whether rows are waveforms (samples,), not maps (planes, rows, frames)
    deviation: float = 1.0  # of noise to start from

    def __call__(self, counts: Mapping[int, int], start: Rows | None, rng: random.Random) -> RowSynthetic:
        return RowSynthetic(counts, self.rows(sum(counts.values()), rng) if start is None else start.x)

    @property
    def frontend(self) -> Frontend:
        """What networks hear of a waveform."""
        return self.features.frontend

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        return (self.frontend.samples,) if self.waveforms else self.frontend.shape

    def rows(self, n: int, rng: random.Random) -> Tensor:  # (n, ...)
        """Noise to start from."""
        return self.deviation * torch.randn(n, *self.shape, generator=generator(rng))

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
        return x.detach().cpu().float() if self.waveforms else recover(self.features, x)

    @classmethod
    def stored(cls, artifact: Artifact) -> Sound:
        """As the artifact records it. Raises ArtifactError for one that is not of audio."""
        said = artifact.manifest["input_space"]
        try:
            frontend, done = Frontend.parse(said), artifact.preprocessing.tensors
            features = Features(frontend, done["mean"], done["std"])
        except (OptionError, KeyError) as error:
            raise ArtifactError(f"{artifact!r} is in the input space {said!r}: expected an audio problem's") from error
        return cls(features, waveforms=said.startswith(WAVEFORM))


def sound_of(problem: Problem[Any]) -> Sound:
    """The problem's sound. Raises NotSupported where it is no audio problem."""
    if not isinstance(problem.synthetic, Sound):
        raise NotSupported(f"{problem.name} is not an audio problem: its sets have no frontend")
    return problem.synthetic
