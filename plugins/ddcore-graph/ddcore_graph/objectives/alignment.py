"""SimGC's alignment: under a trained teacher, with the moments of what nodes see hop by hop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.loop import Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Problem

__all__ = ["Alignment", "hop_moments", "smoothness"]


@dataclass(frozen=True)
class Alignment:
    r"""SimGC (Xiao et al., ECML-PKDD 2024, eq. 5 to 9):

        L( f(S), Y' )  +  \alpha mean_c w_c ( MSE of means + MSE of deviations )  +  \beta smoothness

    f a teacher trained on the real graph; the moments are of [X, \hat A X, ... \hat A^K X] within a class; w_c = N'_c / max N'_k.
    Features count in `scale`, the deviation of real ones: on rows that are divided by their sums the match, which is in squares,
    would be nothing beside the teacher's loss.
    """

    teacher: nn.Module
    hops: int = 2
    alpha: float = 10.0
    beta: float = 0.1
    scale: float = 1.0

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        counts, data = synthetic.counts, problem.data
        sizes = {g: len(data.ids(g)) for g in counts}
        with torch.no_grad():
            want = hop_moments(data.take([i for g in counts for i in data.ids(g)]), sizes, self.hops)
        largest = max(counts.values())
        while True:
            run.boundary()
            graph: Any = synthetic.batch(rng=run.rng)
            have = hop_moments(graph, counts, self.hops)
            apart = []
            for g, n in counts.items():
                (mean, deviation), (real_mean, real_deviation) = have[g], want[g]
                d = (mean - real_mean).square().mean()
                if n > 1 and sizes[g] > 1:
                    d = d + (deviation - real_deviation).square().mean()
                apart.append(n / largest * d)
            moments = torch.stack(apart).mean() / self.scale**2
            loss = problem.loss(self.teacher, graph) + self.alpha * moments
            yield loss + self.beta * smoothness(graph.x / self.scale, graph.adj)


def hop_moments(graph: Any, sizes: Mapping[int, int], hops: int) -> dict[int, tuple[Tensor, Tensor]]:
    """Mean and deviation over each class's nodes of what they see after 0 .. `hops` propagations, side by side; rows of the graph
    are group-major. The deviation of one node is 0."""
    seen = torch.cat([graph.hops(k)[graph.rows] for k in range(hops + 1)], 1)
    parts = seen.split(list(sizes.values()))
    return {g: (h.mean(0), h.var(0, unbiased=False).clamp_min(1e-12).sqrt()) for g, h in zip(sizes, parts, strict=True)}


def smoothness(x: Tensor, a: Tensor) -> Tensor:  # (N, d), (N, N) -> ()
    r"""- \sum_ij A_ij mean_d exp(-(x_i - x_j)^2 / 2) / \sum_ij A_ij: the lower, the more alike what has an edge."""
    pairs = torch.stack([(-0.5 * (x - row).square()).exp().mean(1) for row in x])  # (N, N)
    return -(a * pairs).sum() / a.sum().clamp_min(1e-12)
