"""GraphSAGE (Hamilton et al., NeurIPS 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph

__all__ = ["GraphSAGE", "MeanAggregation"]


class MeanAggregation(nn.Module):
    """h W_1 + mean of the neighbours' h times W_2 + b."""

    def __init__(self, d: int, out: int) -> None:
        super().__init__()
        self.own, self.others = nn.Linear(d, out, bias=False), nn.Linear(d, out)

    def forward(self, batch: Graph, h: Tensor | None = None) -> Tensor:  # (N, d) -> (N, out)
        own = batch.transform(self.own.weight) if h is None else self.own(h)
        others = batch.transform(self.others.weight) if h is None else h @ self.others.weight.T
        return own + batch.propagate(others, "mean") + self.others.bias


class GraphSAGE(nn.Module):
    """Two layers of mean aggregation with ReLU and dropout between them."""

    def __init__(self, d: int, classes: int, *, hidden: int = 256, dropout: float = 0.5) -> None:
        super().__init__()
        self.first, self.second = MeanAggregation(d, hidden), MeanAggregation(hidden, classes)
        self.drop = nn.Dropout(dropout)

    def forward(self, batch: Graph) -> Output:
        h = self.first(batch).relu()
        return Output(self.second(batch, self.drop(h))[batch.rows], h[batch.rows])
