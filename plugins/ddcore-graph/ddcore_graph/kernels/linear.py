"""The kernel of linear networks, between the nodes of two graphs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..batch import Graph

__all__ = ["Propagated"]


@dataclass(frozen=True)
class Propagated:
    r"""K = (\hat A^k X)(\hat A'^k X')^T, SGC's: of a graph of any size it costs sparse products and its target nodes."""

    hops: int = 2  # k

    def __call__(self, a: Graph, b: Graph) -> Tensor:  # (rows of a, rows of b)
        """Between the target nodes of both."""
        return a.hops(self.hops)[a.rows] @ b.hops(self.hops)[b.rows].T
