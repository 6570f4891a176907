"""Noisy waves, and a small network that tells them apart."""

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ddcore import Output, Problem
from ddcore.recipes import MATCHING
from ddcore.rows import Classification, RowData, Rows, row_set
from ddcore.splits import stratified_split


class ConvNet1d(nn.Module):
    """One convolution along time, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 9, padding=4)
        self.head = nn.Linear(16, 3)

    def forward(self, batch: Rows) -> Output:  # batch.x (n, length)
        """Logits (n, 3) and features (n, 16)."""
        features = torch.relu(self.conv(batch.x[:, None])).mean(-1)
        return Output(self.head(features), features)


def shift(batch: Rows, seed: int) -> Rows:
    """Rolls the whole batch along time, all rows by the same number of points."""
    points = torch.randint(batch.x.shape[1], (), generator=torch.Generator().manual_seed(seed))
    return replace(batch, x=batch.x.roll(int(points), dims=1))


def draw(n: int, length: int) -> tuple[Tensor, Tensor]:  # (n, length), (n,)
    """Waves with a random phase, and their classes."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    t = 2 * torch.pi * torch.arange(length) / length
    phase = 2 * torch.pi * torch.rand(n, 1, generator=generator)
    return torch.sin((y[:, None] + 1) * t + phase) + 0.3 * torch.randn(n, length, generator=generator), y


def waves(
    *,
    n: Annotated[int, Field(ge=30, description="waves in all, a third of each class")] = 600,
    length: Annotated[int, Field(ge=8, description="points of a wave")] = 32,
) -> Problem[Rows]:
    """Three classes of waves, split 80/10/10."""
    x, y = draw(n, length)
    return Problem(
        name="series/waves",
        data=RowData(x, y, stratified_split(y.tolist()), drawn=True),
        task=Classification(3),
        models={"conv1d": ConvNet1d},
        synthetic=row_set((length,)),
        recipe=MATCHING,
        augmentations={"match": shift},
        class_names=("one period", "two periods", "three periods"),
    )
