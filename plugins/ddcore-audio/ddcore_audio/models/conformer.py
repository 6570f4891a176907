"""A small conformer (Gulati et al., Interspeech 2020), torchaudio's, with a linear classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..frontend import torchaudio
from .network import Network, Shape

__all__ = ["Conformer"]


class Conformer(Network):
    """Every second frame as a token of `width`, `depth` layers of 4 heads and convolutions of 15 tokens, the mean over tokens.

    Attention takes the plain path, for fused kernels lack second derivatives; convolutions have group normalisation.
    """

    def __init__(self, shape: Shape, classes: int, *, width: int = 64, depth: int = 2) -> None:
        super().__init__([_Tokens(shape, width), _Layers(width, depth)], width, classes, _MeanToken())


class _Tokens(nn.Module):
    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        planes, rows, _ = shape
        self.embed = nn.Conv1d(planes * rows, width, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:  # (n, planes, rows, frames) -> (n, tokens, width)
        embedded: Tensor = self.embed(x.flatten(1, 2))
        return embedded.transpose(1, 2)


class _Layers(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = torchaudio.models.Conformer(width, 4, 2 * width, depth, 15, use_group_norm=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, tokens, width)
        lengths = torch.full((len(x),), x.shape[1], device=x.device)
        with sdpa_kernel(SDPBackend.MATH):
            out: Tensor = self.layers(x, lengths)[0]
        return out


class _MeanToken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:  # (n, tokens, width) -> (n, width)
        return x.mean(1)
