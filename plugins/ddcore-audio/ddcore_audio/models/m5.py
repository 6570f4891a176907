"""M5: a convolutional network on raw waveforms (Dai et al., ICASSP 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from ddcore.errors import OptionError

from .network import Mean, Network

__all__ = ["M5"]

SHORTEST = 4_000
"""Samples that the pooling leaves something of."""


class M5(Network):
    """Table 1 of the paper: a convolution of 80 samples with a stride of 4, three of 3 that double the channels twice, each with
    batch normalisation, ReLU and a maximum over 4; `width` is 128 there.

    Raises:
        OptionError: clips of less than 4,000 samples.
    """

    def __init__(self, samples: int, classes: int, *, width: int = 32) -> None:
        if samples < SHORTEST:
            raise OptionError(f"m5 needs clips of {SHORTEST:,} samples or more, and these have {samples:,}")
        widths = [(1, width, 80, 4), (width, width, 3, 1), (width, 2 * width, 3, 1), (2 * width, 4 * width, 3, 1)]
        super().__init__([_Channel(), *(_block(*sizes) for sizes in widths)], 4 * width, classes, Mean())


class _Channel(nn.Module):
    def forward(self, x: Tensor) -> Tensor:  # (n, samples) -> (n, 1, samples)
        return x.unsqueeze(1)


def _block(c: int, width: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(c, width, kernel, stride, padding=kernel // 2), nn.BatchNorm1d(width), nn.ReLU(), nn.MaxPool1d(4)
    )
