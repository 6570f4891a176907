"""ViT: a small vision transformer (Dosovitskiy et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ddcore.errors import NotSupported

from .network import Network, Shape

__all__ = ["ViT"]


class ViT(Network):
    """Patches, a class token and learned positions, pre-norm encoder layers; the features are the class token.

    Patches are 2 px wide up to 16-px images, 4 up to 32, 8 up to 64 and 16 above; a remainder at the right and lower
    border is left out. Above 64 px this is DeiT-Ti (Touvron et al. 2021, table 1: 192 wide, 12 layers, 3 heads); up to
    64 px it is 128 wide with 4 layers and 4 heads. Attention is a plain product and softmax: fused kernels lack second
    derivatives.

    Raises:
        NotSupported: a side is under 2 px.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        c, h, w = shape
        side = max(h, w)
        patch = next((p for p in (2, 4, 8) if side <= 8 * p), 16)
        if min(h, w) < patch:
            raise NotSupported(f"ViT cuts {h}x{w} images into patches of {patch} px, and one side is shorter: use mlp")
        d, depth, heads, hidden = (192, 12, 3, 768) if side > 64 else (128, 4, 4, 256)
        encoder = [_Layer(d, heads, hidden) for _ in range(depth)]
        super().__init__([_Patches(c, d, patch, (h // patch) * (w // patch)), *encoder], d, classes, _ClassToken(d))


class _Patches(nn.Module):
    def __init__(self, channels: int, d: int, patch: int, count: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, d, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, d))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1 + count, d), std=0.02))

    def forward(self, x: Tensor) -> Tensor:  # (n, c, h, w) -> (n, 1 + patches, d)
        patches = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions


class _Layer(nn.Module):
    def __init__(self, d: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(d), _Attention(d, heads))
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d))

    def forward(self, x: Tensor) -> Tensor:  # (n, t, d)
        attended: Tensor = x + self.attention(x)
        result: Tensor = attended + self.mlp(attended)
        return result


class _Attention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:  # (n, t, d)
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (n, heads, t, d / heads)
        weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
        mixed: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return mixed


class _ClassToken(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:  # (n, t, d) -> (n, d)
        token: Tensor = self.norm(x[:, 0])
        return token
