"""SGC (Wu et al., ICML 2019)."""

from __future__ import annotations

from torch import Tensor, nn

from ddcore.problem import Output

from ..batch import Graph

__all__ = ["SGC"]


class SGC(nn.Module):
    """Linear throughout: A_hat^hops x W, where W is one matrix, or with `hidden` the product of two, which GCond matches
    gradients in. Of a real graph the propagated features are computed once, so that a batch of its nodes costs its rows."""

    def __init__(self, d: int, classes: int, *, hops: int = 2, hidden: int | None = None) -> None:
        super().__init__()
        self.hops = hops
        self.body = None if hidden is None else nn.Linear(d, hidden)
        self.head = nn.Linear(hidden or d, classes)

    def forward(self, batch: Graph) -> Output:
        h = self._propagated(batch)[batch.rows]
        features = h if self.body is None else self.body(h)
        return Output(self.head(features), features)

    def _propagated(self, batch: Graph) -> Tensor:  # (N, d)
        return batch.hops(self.hops)
