"""BC-ResNet: broadcasted residual learning for keyword spotting (Kim et al., Interspeech 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network import Mean, Network, Shape

__all__ = ["BCResNet"]

STAGES = ((8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8))
"""Table 1: channels, blocks, stride over rows, dilation over frames."""

SUB_BANDS = 5
"""Normalised apart, where they part the rows evenly."""


class BCResNet(Network):
    """BC-ResNet-`tau` of table 1: rows and frames are convolved apart, and what is heard over time is broadcast to all rows."""

    def __init__(self, shape: Shape, classes: int, *, tau: int = 1) -> None:
        c, rows = 16 * tau, (shape[1] + 1) // 2
        blocks: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(shape[0], c, 5, (2, 1), 2, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        ]
        for width, number, stride, dilation in STAGES:
            for i in range(number):
                rows = rows if i else -(-rows // stride)
                blocks.append(
                    _Block(c, width * tau, 1 if i else stride, dilation, SUB_BANDS if rows % SUB_BANDS == 0 else 1)
                )
                c = width * tau
        last = nn.Sequential(
            nn.Conv2d(c, c, 5, padding=(0 if rows >= 5 else 2, 2), groups=c, bias=False),
            nn.Conv2d(c, 32 * tau, 1, bias=False),
            nn.BatchNorm2d(32 * tau),
            nn.ReLU(),
        )
        super().__init__([*blocks, last], 32 * tau, classes, Mean())


class _Block(nn.Module):
    """Normal where channels stay: y = x + f2(x) + f1(mean over rows of f2(x)); a transition, without x, where they change."""

    def __init__(self, c: int, width: int, stride: int, dilation: int, parts: int) -> None:
        super().__init__()
        self.residual = c == width and stride == 1
        entry = [nn.Conv2d(c, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()] if c != width else []
        rows = nn.Conv2d(width, width, (3, 1), (stride, 1), (1, 0), groups=width, bias=False)
        self.f2 = nn.Sequential(*entry, rows, _SubSpectralNorm(width, parts))
        frames = nn.Conv2d(width, width, (1, 3), 1, (0, dilation), (1, dilation), groups=width, bias=False)
        self.f1 = nn.Sequential(
            frames, nn.BatchNorm2d(width), nn.SiLU(), nn.Conv2d(width, width, 1, bias=False), nn.Dropout2d(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:  # (n, c, rows, frames)
        spectral = self.f2(x)
        temporal = self.f1(spectral.mean(2, keepdim=True))  # broadcast over the rows
        y = spectral + temporal + x if self.residual else spectral + temporal
        return torch.relu(y)


class _SubSpectralNorm(nn.Module):
    """Batch normalisation of each of `parts` sub-bands (Chang et al. 2021)."""

    def __init__(self, channels: int, parts: int) -> None:
        super().__init__()
        self.parts, self.norm = parts, nn.BatchNorm2d(channels * parts)

    def forward(self, x: Tensor) -> Tensor:  # (n, c, rows, frames)
        normed: Tensor = self.norm(x.reshape(len(x), -1, x.shape[2] // self.parts, x.shape[3]))
        return normed.view_as(x)
