"""SNTK: the neural tangent kernel of an infinitely wide graph network, between the nodes of two graphs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ddcore.kernels.relu import arc_cosine

from ..batch import Graph

__all__ = ["SNTK"]


@dataclass(frozen=True)
class SNTK:
    r"""GC-SNTK's kernel (Wang et al., WWW 2024, eq. 8 to 12). Over all pairs of nodes, \Sigma = \Theta = X X'^T, then `hops`
    times what each side sees of its neighbours,

        \Sigma <- \hat A \Sigma \hat A'^T,   \Theta <- \hat A \Theta \hat A'^T

    and `layers` times a ReLU layer, \Sigma <- 2 E[relu relu], \Theta <- \Theta 2 E[relu' relu'] + \Sigma. The Kronecker product
    \hat A \otimes \hat A' of the paper on the vectorised \Sigma is these two products, which never build it.
    """

    hops: int = 2  # K
    layers: int = 2  # L

    def __call__(self, a: Graph, b: Graph) -> Tensor:  # (rows of a, rows of b)
        """Between the target nodes of both."""
        s = theta = a.x @ b.x.T  # (N, N')
        for k in range(self.hops):
            s, theta = _around(a, b, s), _around(a, b, theta)
            if a is b:
                s, theta = self._activated(s, theta)
            else:
                s, theta = self._activated(s, theta, self.variances(a)[k], self.variances(b)[k])
        return theta[a.rows][:, b.rows]

    def variances(self, graph: Graph) -> list[Tensor]:  # (N,) each
        r"""The diagonal of \Sigma of a graph with itself after each aggregation; a ReLU layer keeps it. Those of a real graph are
        remembered."""
        if graph.adj is None and graph.edges is None:
            return [graph.x.square().sum(1)] * self.hops
        of = (graph.x, graph.adj, graph.edges, graph.weights)
        constant = not any(t is not None and t.requires_grad for t in of)
        known = graph.memo.get(f"{self} variances")
        if constant and known is not None and all(p is q for p, q in zip(known[0], of, strict=True)):
            found: list[Tensor] = known[1]
            return found
        found, s = [], graph.x @ graph.x.T
        for k in range(self.hops):
            s = _around(graph, graph, s)
            found.append(s.diagonal())
            if k + 1 < self.hops:
                s, _ = self._activated(s, s)
        if constant:
            found = [d.clone() for d in found]
            graph.memo[f"{self} variances"] = of, found
        return found

    def _activated(
        self, s: Tensor, theta: Tensor, u: Tensor | None = None, v: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """After the ReLU layers; without the variances of either side, which a layer keeps, s is of a graph with itself and they
        are its diagonal: to the last bit, as the slope of a node with itself would be of rounding otherwise."""
        for _ in range(self.layers):
            rows, columns = (s.diagonal() if d is None else d for d in (u, v))
            value, slope = arc_cosine(s, rows[:, None], columns)
            s = 2 * value
            theta = theta * 2 * slope + s
        return s, theta


def _around(a: Graph, b: Graph, s: Tensor) -> Tensor:  # (N, N')
    return b.propagate(a.propagate(s).T).T
