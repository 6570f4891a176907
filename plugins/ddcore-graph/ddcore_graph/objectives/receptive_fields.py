"""Distribution matching on graphs: the means of what networks see around the nodes of a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.inner import optimiser
from ddcore.loop import Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import B, Output, Problem

from .gradient import AtMost
from .networks import without_dropout

__all__ = ["ReceptiveFieldMatching", "apart", "class_means"]


@dataclass(frozen=True)
class ReceptiveFieldMatching:
    r"""GCDM (Liu et al., 2022, eq. 9): over the embeddings h of the last layer, which see the L hops around a node,

        \sum_c \| mean_{i \in T_c} h_i - mean_{j \in S_c} h'_j \|^2  /  mean_c \| mean_{i \in T_c} h_i \|^2

    in random networks that take `inner` steps down the same loss between `outer` updates. Without edges and with fresh networks
    it is CaT's (Liu et al., ICDM 2023). The embeddings of all layers are compared, side by side. They are measured by the size of
    the real ones: what random networks make of sparse features is so small that Adam's epsilon would exceed its gradient.
    """

    n_real: int = 256  # real nodes of each class, all where there are no more
    outer: int = 1
    inner: int = 0
    lr: float = 0.01  # of the networks: Adam
    model: str | None = None

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        pick, counts = AtMost().picker(problem, self.n_real), synthetic.counts
        while True:
            run.boundary()
            net = without_dropout(problem.new_model(run.rng, self.model)).train()
            opt = optimiser(net, "adam", self.lr)
            for t in range(self.outer):
                if t == 0 or self.inner:  # else the network has not moved
                    chosen = {g: pick(net, g, run.rng) for g in counts}
                    real = problem.data.take([i for ids in chosen.values() for i in ids], run.rng)
                    sizes = {g: len(ids) for g, ids in chosen.items()}
                    with torch.no_grad():
                        want = class_means(net(real), sizes)
                yield apart(class_means(net(synthetic.batch(rng=run.rng)), counts), want)
                if t + 1 < self.outer:
                    self._descend(net, opt, real, sizes, synthetic, run)

    def _descend(
        self,
        net: nn.Module,
        opt: torch.optim.Optimizer,
        real: Any,
        sizes: Mapping[int, int],
        synthetic: Synthetic[Any],
        run: Run,
    ) -> None:
        with torch.no_grad():
            fake = synthetic.batch(rng=run.rng)
        params = [p for group in opt.param_groups for p in group["params"]]
        for _ in range(self.inner):
            opt.zero_grad()
            loss = apart(class_means(net(fake), synthetic.counts), class_means(net(real), sizes))
            torch.autograd.backward(loss, inputs=params)
            opt.step()


def apart(fake: Tensor, real: Tensor) -> Tensor:  # (classes, width) x 2 -> ()
    """The squared distances of the classes' means, by the size of the real ones, which is a constant."""
    return (fake - real).square().sum() / real.detach().square().sum(1).mean().clamp_min(1e-30)


def class_means(out: Output, sizes: Mapping[int, int]) -> Tensor:  # (classes, width)
    """Of the embeddings of all layers, the logits among them; rows are group-major."""
    h = torch.cat([*(layer.flatten(1) for layer in out.layers), out.logits], 1)
    return torch.stack([rows.mean(0) for rows in h.split(list(sizes.values()))])
