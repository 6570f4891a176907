"""Preprocessing: channels normalised, optionally ZCA-whitened; with its inverse, part of problem and artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ddcore.errors import DataError, OptionError
from ddcore.problem import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["STATISTICS", "fit_normalise", "fit_zca", "normalise", "undo", "whiten"]

STATISTICS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2861,), (0.3530,)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation of each channel, in [0, 1], as the matching papers' code has them."""

EPSILON = 0.1  # of ZCA, as in MTT (Cazenavette et al. 2022)
LARGEST = 3 * 64 * 64  # values of an image that ZCA takes: its matrices have the square of that


def normalise(name: str) -> Preprocessing:
    """The published statistics of a data set."""
    mean, std = STATISTICS[name]
    return _normalise(torch.tensor(mean), torch.tensor(std))


def fit_normalise(parts: Iterable[NDArray[np.uint8]]) -> Preprocessing:  # (n, h, w, c) each
    """Mean and standard deviation of each channel of the training images, which come in parts; exact sums of bytes.

    A constant channel is only shifted. Raises DataError where all are constant.
    """
    n, total, squares = 0, np.zeros((), np.int64), np.zeros((), np.int64)
    for part in parts:
        values = part.reshape(-1, part.shape[-1]).astype(np.int64)
        n, total, squares = n + len(values), total + values.sum(0), squares + (values**2).sum(0)
    variance = [(n * int(q) - int(s) ** 2) / (n * (n - 1)) for s, q in zip(total, squares, strict=True)]
    if not any(variance):
        raise DataError("all training images are one constant colour: there is nothing to learn; check the data")
    std = [v**0.5 / 255 or 1.0 for v in variance]
    return _normalise(torch.tensor(total / n / 255, dtype=torch.float32), torch.tensor(std))


def _normalise(mean: Tensor, std: Tensor) -> Preprocessing:  # (c,), (c,)
    return Preprocessing("normalise", "x * std + mean", {"mean": mean[:, None, None], "std": std[:, None, None]})


def fit_zca(parts: Iterable[Tensor], before: Preprocessing) -> Preprocessing:  # (n, c, h, w) each, normalised
    r"""ZCA whitening of normalised images: W = U diag(1 / \sqrt{s + 0.1}) U^T, from the training images' covariance.

    Raises OptionError for images of more than 3 x 64 x 64 values.
    """
    n, total, products = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        flat = part.flatten(1).double()
        if (d := flat.shape[1]) > LARGEST:
            raise OptionError(f"zca needs a matrix of {d:,} x {d:,} values here: take images of 64 pixels or less")
        n, total, products = n + len(flat), total + flat.sum(0), products + flat.T @ flat
    mean = total / n
    s, u = torch.linalg.eigh((products - n * mean.outer(mean)) / max(n - 1, 1))
    scale = (s.clamp_min(0) + EPSILON).sqrt()
    forward, inverse = (u / scale) @ u.T, (u * scale) @ u.T
    tensors = {**before.tensors, "zca_mean": mean.float(), "zca": forward.float(), "zca_inverse": inverse.float()}
    undo_zca = "(x.flatten(1) @ zca_inverse + zca_mean).reshape(x.shape)"
    return Preprocessing("normalise+zca", f"{undo_zca} * std + mean", tensors)


def whiten(x: Tensor, fitted: Preprocessing) -> Tensor:  # (n, c, h, w) -> the same
    """Normalised images in ZCA space."""
    return ((x.flatten(1) - fitted.tensors["zca_mean"]) @ fitted.tensors["zca"]).reshape(x.shape)


def undo(fitted: Preprocessing, x: Tensor) -> Tensor:  # (n, c, h, w) -> the same, in [0, 1]
    """Raw images, clamped to what can be shown."""
    t = fitted.tensors
    if "zca" in t:
        x = (x.flatten(1) @ t["zca_inverse"] + t["zca_mean"]).reshape(x.shape)
    return (x * t["std"] + t["mean"]).clamp(0, 1)
