"""Gradients of linear networks, class by class, and their distances, without ever writing a gradient out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.objectives.gradient import Distance

from ..models.sgc import SGC

__all__ = ["Factors", "class_factors", "distance", "lengths_apart"]

Products = tuple[Tensor, Tensor, Tensor]
"""|a|^2, <a, b> and |b|^2 of rows a and b of two gradients."""


@dataclass(frozen=True)
class Factors:
    r"""The gradient of the mean loss of n nodes: E^T H / n of each matrix, and the column means of E of each bias. n is far below
    the width of H, and any inner product of two such gradients needs only H_a H_b^T, (n_a, n_b)."""

    layers: Sequence[tuple[Tensor, Tensor]]  # E (n, out), H (n, in) of each layer

    def gradients(self) -> list[Tensor]:
        """Of weight and bias of each layer, written out."""
        return [g for e, h in self.layers for g in (e.T @ h / len(h), e.mean(0))]


def class_factors(
    net: SGC, h: Tensor, y: Tensor, sizes: Mapping[int, int]
) -> dict[int, Factors]:  # (n, d), (n, k), group-major
    r"""Of cross-entropy on softmax(H W^T + b), E is P - Y; a matrix before it gets E W, by the chain rule."""
    ends, found = 0, {}
    z = h if net.body is None else net.body(h)
    e = net.head(z).softmax(1) - y
    layers = [(e, z)] if net.body is None else [(e @ net.head.weight, h), (e, z)]
    for g, n in sizes.items():
        found[g] = Factors([(errors[ends : ends + n], inputs[ends : ends + n]) for errors, inputs in layers])
        ends += n
    return found


def distance(kind: Distance, have: Factors, want: Factors) -> Tensor:  # ()
    """The core's DISTANCES[kind] of the two gradients."""
    pairs = list(zip(have.layers, want.layers, strict=True))
    weights = [_products(a, b) for a, b in pairs]
    if kind in ("layer-cosine", "layer-cosine+norm"):
        return torch.stack([_by_row(*p, lengths=kind == "layer-cosine+norm").sum() for p in weights]).sum()
    if kind == "l1":
        raise ValueError("l1 needs the gradients' entries: there is no closed form of it")
    aa, ab, bb = (torch.cat(part).sum() for part in zip(*weights, *_of_biases(pairs), strict=True))
    return 1 - ab / (_root(aa) * _root(bb) + 1e-6) if kind == "cosine" else (aa - 2 * ab + bb).clamp_min(0)


def lengths_apart(have: Factors, want: Factors) -> Tensor:  # ()
    """The lengths of the differences of the rows of the two gradients, summed over the rows of all matrices; not of biases."""
    found = [_products(a, b) for a, b in zip(have.layers, want.layers, strict=True)]
    return torch.stack([_root(aa - 2 * ab + bb).sum() for aa, ab, bb in found]).sum()


def _products(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Products:  # (out,) each
    def inner(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
        (e, h), (f, k) = first, second
        return ((h @ k.T) @ f * e).sum(0) / (len(h) * len(k))

    return inner(a, a), inner(a, b), inner(b, b)


def _of_biases(pairs: Sequence[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]) -> Iterator[Products]:
    for (e, _), (f, _) in pairs:
        a, b = e.mean(0), f.mean(0)
        yield a.square(), a * b, b.square()


def _by_row(aa: Tensor, ab: Tensor, bb: Tensor, lengths: bool) -> Tensor:  # (out,)
    angle = 1 - ab / (_root(aa) * _root(bb) + 1e-6)
    return angle + _root(aa - 2 * ab + bb) if lengths else angle


def _root(x: Tensor) -> Tensor:
    """The square root, whose slope at 0 is taken as 0."""
    there = x > 0
    return torch.where(there, x, 1.0).sqrt() * there
