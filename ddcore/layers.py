"""Layers that torch has too, with cheap second derivatives: matching differentiates through a gradient at every update.

Each derivative is an operation of its own only where it is to be differentiated again; else it is computed and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from .errors import NotSupported

__all__ = ["HalvingPool2d", "InstanceNorm"]


class InstanceNorm(nn.GroupNorm):
    """Each channel of each row by its own mean and deviation, then a scale and a shift per channel: affine InstanceNorm, or
    GroupNorm with one channel a group, by whose kernels it runs. Its third derivatives are refused.

    Torch composes the second derivative of some thirty passes over the map; the closed form here needs two of GroupNorm's
    backward kernel and seven passes.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (n, c, *spatial)
        if not torch.is_grad_enabled():  # whose kernel knows channels-last maps
            return super().forward(x)
        return _Normalised.apply(x, self.weight, self.bias, self.eps)[0]  # type: ignore[no-untyped-call, no-any-return]


class HalvingPool2d(nn.Module):
    """AvgPool2d(2), on a CPU a few times as fast as torch's; of an odd side the last line is left out, as there."""

    def forward(self, x: Tensor) -> Tensor:  # (n, c, h, w)
        return _Halved.apply(x)  # type: ignore[no-untyped-call, no-any-return]


class _Halved(Function):
    """The mean of each square of four pixels. It is linear: its derivatives are itself and its transpose."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return _halved(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.sides = inputs[0].shape[-2:]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return (_Spread.apply if torch.is_grad_enabled() else _spread)(dy, ctx.sides)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor) -> Tensor:
        return _Halved.apply(dx)  # type: ignore[no-untyped-call, no-any-return]


class _Spread(Function):
    """A quarter of each number to each pixel of its square."""

    generate_vmap_rule = True

    @staticmethod
    def forward(y: Tensor, sides: Sequence[int]) -> Tensor:
        return _spread(y, sides)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Sequence[int]], output: Tensor) -> None:
        ctx.sides = inputs[1]

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, None]:
        return (_Halved.apply if torch.is_grad_enabled() else _halved)(dx), None

    @staticmethod
    def jvp(ctx: Any, dy: Tensor, _: None) -> Tensor:
        return _Spread.apply(dy, ctx.sides)  # type: ignore[no-untyped-call, no-any-return]


def _halved(x: Tensor) -> Tensor:  # slices in turn: one pass for the rows, one for the columns
    h, w = (side // 2 * 2 for side in x.shape[-2:])
    rows = x[..., 0:h:2, :] + x[..., 1:h:2, :]
    return (rows[..., 0:w:2] + rows[..., 1:w:2]).mul_(0.25)


def _spread(y: Tensor, sides: Sequence[int]) -> Tensor:
    h, w = (2 * side for side in y.shape[-2:])
    y, rows = 0.25 * y, y.new_empty(*y.shape[:-1], sides[1])
    rows[..., 0:w:2] = rows[..., 1:w:2] = y
    rows[..., w:] = 0
    x = y.new_empty(*y.shape[:-2], *sides)
    x[..., 0:h:2, :] = x[..., 1:h:2, :] = rows
    x[..., h:, :] = 0
    return x


# With <.> the mean over a map of m pixels: y = gamma z + beta, where z = (x - <x>) r and r = 1 / sqrt(<(x - <x>)^2> + eps).
# P(v) = r (v - <v> - <v z> z) is symmetric, and dL/dx = gamma P(dL/dy). Mean and r of each map are (n, c).


class _Normalised(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        n, c, m = _sizes(x)
        return torch.native_group_norm(x.contiguous(), gamma, beta, n, c, m, c, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, gamma, _, ctx.eps = inputs
        _, mean, r = output
        ctx.mark_non_differentiable(mean, r)
        ctx.save_for_backward(x, gamma, mean, r)
        ctx.save_for_forward(x, gamma, mean, r)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return *(_Backward.apply if torch.is_grad_enabled() else _projected)(dy, *ctx.saved_tensors), None

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, dgamma: Tensor, dbeta: Tensor, _: None) -> tuple[Tensor, None, None]:
        along, *_ = _Backward.apply(dx, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        y, *_ = _Normalised.apply(ctx.saved_tensors[0], dgamma, dbeta, ctx.eps)  # type: ignore[no-untyped-call]
        return along + y, None, None


class _Backward(Function):
    """dL/dx = gamma P(dL/dy), dL/dgamma = sum of <z dL/dy> m, dL/dbeta = sum of dL/dy, over the rows."""

    generate_vmap_rule = True

    @staticmethod
    def forward(dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _projected(dy, x, gamma, mean, r)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        again = torch.is_grad_enabled()
        return *(_Second.apply if again else _second)(*cotangents, *ctx.saved_tensors), None, None


class _Second(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _second(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise NotSupported("third derivatives of InstanceNorm are not to be had: choose a network with another norm")


def _second(
    v: Tensor, p: Tensor, q: Tensor, dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, r: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of Phi = (v, dL/dx) + (p, dL/dgamma) + (q, dL/dbeta), by dL/dy, x and gamma."""
    n, c, m = _sizes(x)

    def projections(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # P(a): (n, c, m), <z a> and <a>: (n, c, 1)
        one_row, k = (1, n * c, m), (1, n * c)  # whose channels are all maps
        along, za, a = _projected(
            a.reshape(one_row), x.reshape(one_row), x.new_ones(n * c), mean.reshape(k), r.reshape(k)
        )
        return along.view(n, c, m), za.view(n, c, 1) / m, a.view(n, c, 1) / m

    (along_v, zv, mean_v), (along_g, zg, mean_g) = projections(v), projections(dy)
    mean, r = mean.reshape(n, c, 1), r.reshape(n, c, 1)
    gamma, p, q = gamma.view(c, 1), p.view(c, 1), q.view(c, 1)
    vg = (v.flatten(2) * dy.flatten(2)).mean(2, keepdim=True)
    x = x.flatten(2)
    # (v, P(g)) / m = r (<v g> - <v><g> - <z v><z g>), in which z and r depend on x
    both = r * (vg - mean_v * mean_g - zv * zg)  # (n, c, 1)
    by_dy = torch.addcmul(q - p * r * mean, x, p * r).addcmul_(along_v, gamma)  # gamma P(v) + p z + q
    k = gamma * r * r * both
    by_x = torch.addcmul(k * mean, x, -k).addcmul_(along_v, -gamma * r * zg).addcmul_(along_g, p - gamma * r * zv)
    return by_dy.view(dy.shape), by_x.view(dy.shape), m * both.sum((0, 2))


def _projected(dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n, c, m = _sizes(x)
    backward = torch.ops.aten.native_group_norm_backward
    return backward(dy.contiguous(), x.contiguous(), mean, r, gamma, n, c, m, c, [True] * 3)  # type: ignore[no-any-return]


def _sizes(x: Tensor) -> tuple[int, int, int]:
    n, c, *map_ = x.shape
    return n, c, math.prod(map_)
