"""A small Transformer encoder (Vaswani et al. 2017), with plain attention whose maps can be matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .network import Network, masked_mean

if TYPE_CHECKING:
    from ..tokens import TokenSpace

__all__ = ["Encoder", "Transformer"]


class Transformer(Network):
    """Two pre-norm layers, 128 wide with two heads (the size of BERT-tiny); the features are the mean over the words.
    `extras["attention"]` has the maps (n, layers, heads, t, t)."""

    def __init__(
        self, space: TokenSpace, classes: int, *, d: int = 128, depth: int = 2, heads: int = 2, hidden: int = 512
    ) -> None:
        super().__init__(space, d, classes)
        self.encoder = Encoder(space, d=d, depth=depth, heads=heads, hidden=hidden)

    def read(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Mapping[str, Any]]:
        x, maps = self.encoder(e, mask)
        return masked_mean(x, mask), {"attention": maps}


class Encoder(nn.Module):
    """A projection of the vectors, learned positions, the layers and a norm."""

    def __init__(self, space: TokenSpace, *, d: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(space.width, d)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(space.length, d), std=0.02))
        self.layers = nn.ModuleList(_Layer(d, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(d)

    def forward(self, e: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, t, d) and attention maps (n, layers, heads, t, t)."""
        x = self.project(e) + self.positions[: e.shape[1]]
        maps = []
        for layer in self.layers:
            x, weights = layer(x, mask)
            maps.append(weights)
        return self.norm(x), torch.stack(maps, 1)


class _Layer(nn.Module):
    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.before, self.attention = nn.LayerNorm(d), _Attention(d, heads)
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # (n, t, d), (n, t)
        mixed, weights = self.attention(self.before(x), mask)
        x = x + mixed
        return x + self.mlp(x), weights


class _Attention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # (n, t, d), (n, t)
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (n, heads, t, d / heads)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2)), weights
