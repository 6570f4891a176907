"""GAT (Velickovic et al., ICLR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph, incoming, normalised

__all__ = ["GAT", "Attention"]


class Attention(nn.Module):
    r"""GAT's layer. A node attends to itself and to what has an edge to it; an edge's weight w counts as so many edges,

        \alpha_{ij} = w_{ij} \exp(e_{ij}) / \sum_k w_{ik} \exp(e_{ik}),   e_{ij} = leaky(a_i \cdot h_i + a_j \cdot h_j)

    which is the paper's where weights are one, and differentiable in the weights of a synthetic graph.
    """

    def __init__(self, d: int, out: int, heads: int) -> None:  # out: of each head
        super().__init__()
        self.heads, self.out = heads, out
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads * out, d)))
        self.to_source = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, out)))
        self.to_target = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, out)))
        self.bias = nn.Parameter(torch.zeros(heads * out))

    def forward(self, batch: Graph, h: Tensor | None = None) -> Tensor:  # (N, d) -> (N, heads * out)
        z = (batch.transform(self.weight) if h is None else h @ self.weight.T).view(-1, self.heads, self.out)
        source, target = (z * self.to_source).sum(-1), (z * self.to_target).sum(-1)  # (N, heads) each
        found = (
            self._dense(batch, z, source, target) if batch.adj is not None else self._sparse(batch, z, source, target)
        )
        return found.flatten(1) + self.bias

    def _dense(self, batch: Graph, z: Tensor, source: Tensor, target: Tensor) -> Tensor:  # (N, heads, out)
        assert batch.adj is not None
        a = batch.adj + torch.eye(len(z), dtype=z.dtype, device=z.device)
        e = F.leaky_relu(target[:, None] + source[None], 0.2)  # (N, N, heads): target, source
        w = a[..., None] * (e - e.detach().amax(1, keepdim=True)).exp()
        return torch.einsum("ijh,jho->iho", w / w.sum(1, keepdim=True), z)

    def _sparse(self, batch: Graph, z: Tensor, source: Tensor, target: Tensor) -> Tensor:  # (N, heads, out)
        n = len(z)
        edges = torch.empty(2, 0, dtype=torch.long, device=z.device) if batch.edges is None else batch.edges
        loops = torch.arange(n, device=z.device)
        i, j = torch.cat([edges[1], loops]), torch.cat([edges[0], loops])  # target, source
        weights = None if batch.edges is None else batch.weights
        _, w = normalised(edges, weights, n, "sum", z.dtype)
        e = F.leaky_relu(F.embedding(i, target) + F.embedding(j, source), 0.2)  # (E, heads)
        top = e.detach().new_full((n, self.heads), -torch.inf)
        top = top.scatter_reduce(0, i[:, None].expand_as(e), e.detach(), "amax")
        p = torch.cat([w, w.new_ones(n)])[:, None] * (e - top[i]).exp()
        share = p / F.embedding(i, incoming(p, i, n))
        return incoming(share[..., None] * F.embedding(j, z.flatten(1)).view(-1, *z.shape[1:]), i, n)


class GAT(nn.Module):
    """Two layers, 8 heads of `hidden` and one of the classes, ELU and dropout between them."""

    def __init__(self, d: int, classes: int, *, hidden: int = 16, heads: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        self.first, self.second = Attention(d, hidden, heads), Attention(hidden * heads, classes, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        h = F.elu(self.first(batch))
        return Output(self.second(batch, self.drop(h))[batch.rows], h[batch.rows])
