"""The kernels of audio problems: ReLU networks of infinite width, on maps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ddcore.kernels import Convolutional, FullyConnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ddcore.rows import Rows

    from .frontend import Features

__all__ = ["kernels"]


def _flat(
    kernel: Callable[[Tensor, Tensor], Tensor], heard: Callable[[Tensor], Tensor], a: Rows, b: Rows
) -> Tensor:  # (n, m)
    return kernel(heard(a.x).flatten(1), heard(b.x).flatten(1))


def _maps(
    kernel: Callable[[Tensor, Tensor], Tensor], heard: Callable[[Tensor], Tensor], a: Rows, b: Rows
) -> Tensor:  # (n, m)
    return kernel(heard(a.x), heard(b.x))


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _through(features: Features, scale: float, x: Tensor) -> Tensor:
    maps: Tensor = features.to(x.device)(x * scale)
    return maps


def kernels(features: Features, *, scale: float | None, depth: int) -> dict[str, Callable[[Rows, Rows], Tensor]]:
    """By name, "fc-ntk" first; of waveforms, as the frontend hears them."""
    heard = _as_it_is if scale is None else partial(_through, features, scale)
    return {
        "fc-ntk": partial(_flat, FullyConnected(), heard),
        "fc-nngp": partial(_flat, FullyConnected(kind="nngp"), heard),
        "conv-ntk": partial(_maps, Convolutional(depth), heard),
        "conv-nngp": partial(_maps, Convolutional(depth, "nngp"), heard),
    }
