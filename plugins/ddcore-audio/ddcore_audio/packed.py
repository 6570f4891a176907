"""Packed sets: each stored row holds several rows of its class, as IDC's multi-formation and DisTrack's short clips do."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.errors import OptionError
from ddcore.labels import Labels
from ddcore.rows import Rows, RowSynthetic

from .sound import Sound, sound_of

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from ddcore.problem import Problem

__all__ = ["Formations", "Packed", "ShortClips"]


class Packed(RowSynthetic):
    """Row i of a group is piece i mod `pieces` of its stored row i // `pieces`. A subclass writes `cut`, where a piece lies, and
    `spread`, what it is as a row."""

    def __init__(
        self,
        counts: Mapping[int, int],  # stored rows of each group
        x: Tensor,  # (stored rows, ...)
        sound: Sound,
        pieces: tuple[int, int],  # along rows of a map, along time
        labels: Labels | None = None,  # of the decoded rows
    ) -> None:
        super().__init__({g: n * pieces[0] * pieces[1] for g, n in counts.items()}, x, labels)
        self.sound, self.pieces, self.held = sound, pieces, dict(counts)

    @classmethod
    def of(
        cls, counts: Mapping[int, int], start: Tensor | None, sound: Sound, pieces: tuple[int, int], rng: random.Random
    ) -> Self:
        """From real rows, `pieces` for each stored one, which become its pieces; or from noise.

        Raises OptionError for more pieces than a row has places.
        """
        *_, height, length = (1, *sound.shape)
        if sound.waveforms and pieces[0] > 1:
            raise OptionError("waveforms have no bands to pack pieces along: pieces are (1, n)")
        if pieces[0] > height or pieces[1] > length:
            raise OptionError(f"{pieces[0]} x {pieces[1]} pieces do not fit rows of {sound.shape}")
        made = cls(counts, sound.rows(sum(counts.values()), rng), sound, pieces)
        if start is not None:
            made.fill(start)
        return made

    # ------------------------------------------------------------------------------------------------ must be written

    @abstractmethod
    def spread(self, piece: Tensor) -> Tensor:  # (n, ...) -> (n, ...) of the problem's shape
        """Pieces as rows."""

    @abstractmethod
    def gather(self, x: Tensor, shape: Sequence[int]) -> Tensor:  # (n, ...) -> (n, *shape)
        """Rows as pieces of that shape."""

    # ------------------------------------------------------------------------------------------------ a set

    @property
    def stored_counts(self) -> Mapping[int, int]:
        return self.held

    def cut(self, x: Tensor, k: int) -> Tensor:  # (n, ...), a view
        """Piece k of stored rows."""
        (i, j), (over, along) = divmod(k, self.pieces[1]), self.pieces
        length = x.shape[-1]
        x = x[..., j * length // along : (j + 1) * length // along]
        if over == 1:
            return x
        height = x.shape[-2]
        return x[..., i * height // over : (i + 1) * height // over, :]

    def take(self, ids: Sequence[int], rng: random.Random | None = None) -> Rows:
        each = self.pieces[0] * self.pieces[1]
        parts, order = list[Tensor](), list[int]()
        for k in range(each):
            of = [at for at, i in enumerate(ids) if i % each == k]
            if of:
                parts.append(self.spread(self.cut(self.x[[ids[at] // each for at in of]], k)))
                order += of
        x = torch.cat(parts)[torch.tensor(order, device=self.x.device).argsort()]
        return Rows(x, *self.labels.rows(ids))

    @torch.no_grad()
    def fill(self, x: Tensor) -> None:  # (decoded rows, ...)
        """Sets every piece to a row."""
        each = self.pieces[0] * self.pieces[1]
        for k in range(each):
            place = self.cut(self.x.data, k)
            place.copy_(self.gather(x[k::each], place.shape[1:]))

    def stored(self) -> dict[str, Tensor]:
        return {**super().stored(), "x": self.x.detach()}

    def config(self) -> dict[str, Any]:
        return {**super().config(), "held": [[g, n] for g, n in self.held.items()], "pieces": list(self.pieces)}

    @classmethod
    def restore(cls, problem: Problem[Rows], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        over, along = config["pieces"]
        labels = RowSynthetic.restore(problem, config, tensors).labels
        return cls(dict(config["held"]), tensors["x"], sound_of(problem), (over, along), labels)


class Formations(Packed):
    """IDC's multi-formation (Kim et al. 2022, section 3.2; Pereira et al. 2024 for sound): pieces are small maps, brought to full
    size by linear interpolation over bands and frames."""

    parametrization = "audio/formations"

    def spread(self, piece: Tensor) -> Tensor:  # (n, planes, rows, frames)
        return F.interpolate(piece, self.sound.shape[1:], mode="bilinear", align_corners=False)

    def gather(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        return F.interpolate(x, tuple(shape[1:]), mode="area")


class ShortClips(Packed):
    """DisTrack's short clips: pieces of a clip's time, each a clip that begins with it and is silent afterwards."""

    parametrization = "audio/short-clips"

    def spread(self, piece: Tensor) -> Tensor:  # (n, samples) or (n, planes, rows, frames)
        missing = self.sound.shape[-1] - piece.shape[-1]
        silence = self.sound.silence.to(piece).expand(*piece.shape[:-1], missing)
        return torch.cat([piece, silence], -1)

    def gather(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The middle, where speech is."""
        start = (x.shape[-1] - shape[-1]) // 2
        return x[..., start : start + shape[-1]]
