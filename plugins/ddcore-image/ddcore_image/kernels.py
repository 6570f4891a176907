"""The kernels of image problems: ReLU networks of infinite width, on pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ddcore.kernels import Convolutional, FullyConnected, PooledConvolutional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ddcore.rows import Rows
__all__ = ["kernels"]


def _flat(kernel: Callable[[Tensor, Tensor], Tensor], a: Rows, b: Rows) -> Tensor:  # (n, m)
    return kernel(a.x.flatten(1), b.x.flatten(1))


def _maps(kernel: Callable[[Tensor, Tensor], Tensor], a: Rows, b: Rows) -> Tensor:  # (n, m)
    return kernel(a.x, b.x)


def kernels(*, depth: int) -> dict[str, Callable[[Rows, Rows], Tensor]]:
    """By name, "fc-ntk" first. The pooled convolutional one has the default ConvNet's depth and follows all pairs of positions:
    at 32 px that is a million numbers for each pair of images."""
    return {
        "fc-ntk": partial(_flat, FullyConnected()),
        "fc-nngp": partial(_flat, FullyConnected(kind="nngp")),
        "conv-ntk": partial(_maps, Convolutional(depth)),
        "conv-nngp": partial(_maps, Convolutional(depth, "nngp")),
        "conv-ntk-pooled": partial(_maps, PooledConvolutional(depth)),
        "conv-nngp-pooled": partial(_maps, PooledConvolutional(depth, "nngp")),
    }
