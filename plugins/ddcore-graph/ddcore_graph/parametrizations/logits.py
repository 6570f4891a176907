"""Edges of whole graphs as logits: each is there or not, drawn while it is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import torch
from torch import Tensor, nn

from ddcore.labels import Labels
from ddcore.seeds import generator

from ..graphs import Graphs
from .graphs import GraphSet

__all__ = ["LogitGraphs", "LowRankGraphs"]

SURE = 5.0
"""The logit of an edge that is there at the start; of one that is not, its negative."""


class LogitGraphs(GraphSet):
    r"""DosCond's graphs (Jin et al., KDD 2022, eq. 7): with logits L, symmetric, and u uniform, symmetric,

        A = \sigma( (\log u - \log(1 - u) + L) / t )

    where the temperature t falls from 1 to 0.01 over the first `cooling` updates. Without a draw an edge is there where \sigma(L)
    is above one half. With `sparsity`, a weight, edges may not become more than there were.
    """

    def __init__(
        self,
        counts: Mapping[int, int],
        x: Tensor,  # (n, s, d)
        adj: Tensor,  # (n, s, s) where it starts
        mask: Tensor,  # (n, s)
        labels: Labels | None = None,
        *,
        cooling: int = 200,
        sparsity: float = 0.0,
    ) -> None:
        super().__init__(counts, x, adj, mask, labels)
        self.cooling, self.sparsity = cooling, sparsity
        self.updates: Tensor
        self.register_buffer("updates", torch.tensor(0))
        s = adj.shape[1]
        pairs = mask[:, :, None] & mask[:, None] & ~torch.eye(s, dtype=torch.bool, device=adj.device)
        self.pairs: Tensor
        self.register_buffer("pairs", pairs)  # (n, s, s)
        self.start(2 * SURE * adj - SURE)
        with torch.no_grad():
            self.density = float(self._density())

    def start(self, logits: Tensor) -> None:  # (n, s, s)
        """Makes what is learned of the logits."""
        self.edge_logits = nn.Parameter(logits)

    def logits(self) -> Tensor:  # (n, s, s)
        """L, symmetric."""
        return (self.edge_logits + self.edge_logits.transpose(1, 2)) / 2

    @property
    def temperature(self) -> float:
        """t of the next update."""
        return float(0.01 ** min(int(self.updates) / self.cooling, 1.0))

    def adjacency(self) -> Tensor:
        return (self.logits() > 0).to(self.x.dtype) * self.pairs

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Graphs:
        rows = list(ids)
        adj = self.adjacency() if rng is None else self._drawn(rng)
        return Graphs(self.x[rows], *self.labels.rows(rows), adj=adj[rows], mask=self.mask[rows])

    def _drawn(self, rng: Random) -> Tensor:  # (n, s, s)
        u = torch.rand(self.pairs.shape, generator=generator(rng)).clamp(1e-6, 1 - 1e-6).to(self.x).triu(1)
        noise = torch.where(u > 0, u.log() - (-u).log1p(), 0)
        return ((noise + noise.transpose(1, 2) + self.logits()) / self.temperature).sigmoid() * self.pairs

    def _density(self) -> Tensor:  # ()
        return (self.logits().sigmoid() * self.pairs).sum() / self.pairs.sum().clamp_min(1)

    def penalty(self) -> Tensor:
        """What is above the density of the start."""
        return self.sparsity * (self._density() - self.density).relu() if self.sparsity else torch.zeros(())

    @torch.no_grad()
    def project(self) -> None:
        """An update is over."""
        self.updates += 1

    def param_groups(self) -> list[dict[str, object]]:
        """The groups of any set, and "structure"."""
        learned = {"x", "log_step_size"}
        structure = [p for n, p in self.named_parameters() if n not in learned and not n.startswith("labels.")]
        groups = super().param_groups()
        groups[0]["params"] = [p for p in groups[0]["params"] if all(p is not q for q in structure)]
        return [*groups, {"name": "structure", "params": structure}]

    @torch.no_grad()
    def decoded(self, threshold: float = 0.0) -> GraphSet:
        """The graphs as they are; their edges are there or not, whatever the threshold."""
        return GraphSet(self.counts, self.x, self.adjacency(), self.mask, self.labels)


class LowRankGraphs(LogitGraphs):
    """KiDD-LR's: logits U V, of which U and V are learned; they start from the singular vectors of the others' start."""

    def __init__(self, *args: Tensor | Mapping[int, int], rank: int = 16, **more: float) -> None:
        self.rank = rank
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def start(self, logits: Tensor) -> None:
        u, s, v = torch.linalg.svd(logits, full_matrices=False)
        r = min(self.rank, s.shape[1])
        root = s[:, :r].sqrt()
        self.left = nn.Parameter(u[:, :, :r] * root[:, None])  # (n, s, r)
        self.right = nn.Parameter(root[:, :, None] * v[:, :r])  # (n, r, s)

    def logits(self) -> Tensor:
        product = self.left @ self.right
        return (product + product.transpose(1, 2)) / 2
