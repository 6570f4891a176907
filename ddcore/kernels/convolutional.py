"""Convolutional networks of infinite width: 3x3 kernels with zero padding, a linear readout of the flattened last map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .relu import Affine, Kind, Pair, relu

__all__ = ["Convolutional", "PooledConvolutional"]

SIZE = 3


@dataclass(frozen=True)
class Convolutional:
    """`depth` ReLU convolutions without pooling. Only equal positions of two maps meet in the readout, so the kernel costs as
    many numbers as a map has positions, for each pair of rows (KIP's "Conv" of Nguyen et al., NeurIPS 2021)."""

    depth: int = 3
    kind: Kind = "ntk"
    affine: Affine = Affine()
    at_once: int = (
        2**21
    )  # numbers of one kernel tensor; the rows of x are read in blocks of that and recomputed in the backward

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:  # (n, c, h, w), (m, c, h, w) -> (n, m)
        """The kernel between all maps of x and of z."""
        return in_blocks(self._block, x, z, self.at_once // x[0, 0].numel())

    def _block(self, x: Tensor, z: Tensor) -> Tensor:
        first = torch.einsum("nchw,mchw->nmhw", x, z) / x.shape[1]
        k = self._conv(Pair(first, torch.zeros_like(first)))
        u, v = (self.affine.variance(_window_mean(rows.square().mean(1))) for rows in (x, z))  # (n, h, w), (m, h, w)
        for layer in range(1, self.depth + 1):
            k = relu(k, u[:, None], v)
            u, v = u / 2, v / 2
            if layer < self.depth:
                k, u, v = self._conv(k), self.affine.variance(_window_mean(u)), self.affine.variance(_window_mean(v))
        k = self.affine(Pair(k.nngp.mean((2, 3)), k.ntk.mean((2, 3))))
        return k.ntk if self.kind == "ntk" else k.nngp

    def _conv(self, k: Pair) -> Pair:
        return self.affine(Pair(_window_mean(k.nngp), _window_mean(k.ntk)))


def _window_mean(q: Tensor) -> Tensor:  # (..., h, w) -> the same
    """The mean over the positions that a filter reads; those outside are zero."""
    return F.avg_pool2d(q.flatten(0, -3)[:, None], SIZE, 1, SIZE // 2).reshape(q.shape)


@dataclass(frozen=True)
class PooledConvolutional:
    """`depth` blocks of ReLU convolution and 2x2 average pooling: the ConvNet of the literature without its normalisation, in the
    limit. Pooling mixes positions, so all pairs of positions are followed: O(positions^2) numbers for each pair of rows."""

    depth: int = 3
    kind: Kind = "ntk"
    affine: Affine = Affine()
    pool: int = 2
    at_once: int = (
        2**21
    )  # numbers of one kernel tensor; pairs of rows are read in blocks of that and recomputed in the backward

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:  # (n, c, h, w), (m, c, h, w) -> (n, m)
        """The kernel between all maps of x and of z."""
        return in_blocks(self._block, x, z, self.at_once // x[0, 0].numel() ** 2)

    def _block(self, x: Tensor, z: Tensor) -> Tensor:
        c = x.shape[1]
        first = torch.einsum("nchw,mcij->nmhwij", x, z) / c
        k = self._conv(Pair(first, torch.zeros_like(first)))
        u, v = (_both_window_mean(torch.einsum("nchw,ncij->nhwij", rows, rows) / c) for rows in (x, z))
        u, v = self.affine.variance(u), self.affine.variance(v)  # covariances of a row's own positions
        for layer in range(1, self.depth + 1):
            k = relu(k, _diagonal(u)[:, None, :, :, None, None], _diagonal(v)[:, None, None])
            k = Pair(*(_both_pooled(q, self.pool) for q in (k.nngp, k.ntk)))
            u, v = (_both_pooled(_own(q), self.pool) for q in (u, v))
            if layer < self.depth:
                k = self._conv(k)
                u, v = (self.affine.variance(_both_window_mean(q)) for q in (u, v))
        k = self.affine(Pair(*(_diagonal(q).mean((-2, -1)) for q in (k.nngp, k.ntk))))
        return k.ntk if self.kind == "ntk" else k.nngp

    def _conv(self, k: Pair) -> Pair:
        return self.affine(Pair(_both_window_mean(k.nngp), _both_window_mean(k.ntk)))


def _diagonal(q: Tensor) -> Tensor:  # (..., h, w, h, w) -> (..., h, w)
    h, w = q.shape[-2:]
    own: Tensor = q.flatten(-4, -3).flatten(-2).diagonal(dim1=-2, dim2=-1).unflatten(-1, (h, w))
    return own


def _own(q: Tensor) -> Tensor:  # (n, h, w, h, w) -> the same
    """After the activation, between the positions of one row."""
    variance = _diagonal(q)
    return relu(Pair(q, q), variance[..., None, None], variance[:, None, None]).nngp


def _both_window_mean(q: Tensor) -> Tensor:  # (..., h, w, i, j) -> the same
    """The mean over the filter's positions, the same on both sides; those outside are zero."""
    for a, b in ((-4, -2), (-3, -1)):
        n = q.shape[a]
        pad = [0, 0] * 4
        for axis in (a, b):
            pad[2 * (-axis - 1)] = pad[2 * (-axis - 1) + 1] = SIZE // 2
        wide = F.pad(q, pad)
        q = sum(wide.narrow(a, d, n).narrow(b, d, n) for d in range(SIZE)) / SIZE  # type: ignore[assignment]
    return q


def _both_pooled(q: Tensor, size: int) -> Tensor:  # (..., h, w, h, w) -> (..., h / size, w / size, h / size, w / size)
    for _ in range(2):  # one side, then the other
        *rows, a, b, h, w = q.shape
        pooled = F.avg_pool2d(q.reshape(-1, 1, h, w), size).reshape(*rows, a, b, h // size, w // size)
        q = pooled.movedim((-4, -3), (-2, -1))
    return q


# ---------------------------------------------------------------------------------------------------------------------
# blocks


def in_blocks(kernel: Callable[[Tensor, Tensor], Tensor], x: Tensor, z: Tensor, pairs: int) -> Tensor:  # (n, m)
    """The kernel in blocks of at most `pairs` pairs of rows, at least one, each computed again in the backward."""
    width = min(max(pairs, 1), len(z))
    height = max(pairs // width, 1)
    return torch.cat([torch.cat(list(_row(kernel, part, z, width)), 1) for part in x.split(height)])


def _row(kernel: Callable[[Tensor, Tensor], Tensor], x: Tensor, z: Tensor, width: int) -> Iterator[Tensor]:
    for part in z.split(width):
        if torch.is_grad_enabled() and (x.requires_grad or part.requires_grad):
            yield checkpoint(kernel, x, part, use_reentrant=False)
        else:
            yield kernel(x, part)
