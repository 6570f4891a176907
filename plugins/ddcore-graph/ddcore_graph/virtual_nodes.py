"""VNG (Si et al., ICLR 2023): few virtual nodes that send what the real ones send."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ddcore.inner import fit, optimiser
from ddcore.seeds import torch_seeded

from .batch import Graph
from .centrality import degrees
from .data import node_data
from .parametrizations.dense import DenseGraph

if TYPE_CHECKING:
    from ddcore.methods.plan import Work

__all__ = ["carrying", "virtual_node_graph"]


def virtual_node_graph(work: Work[Any], *, epochs: int, model: str | None) -> DenseGraph:
    r"""Training nodes are clustered, class by class and weighted by degree, in the layers H of a trained network. With E the
    weighted means over clusters, (N', n), the features are E X and the adjacency `carrying(E H, E \hat A H)`."""
    from sklearn.cluster import KMeans

    data = node_data(work.problem)
    batch = data.take([i for g in work.counts for i in data.ids(g)])
    net = _trained(work, batch, epochs, model)
    with torch.no_grad():
        everywhere = replace(batch, rows=torch.arange(len(batch.x), device=batch.x.device))
        h = torch.cat([layer.flatten(1) for layer in net(everywhere).layers], 1)  # (N, layers)
        arrives = batch.propagate(h)[batch.rows]
    weight = degrees(data.part("train"))[batch.rows]
    weight = torch.where(weight > 0, weight, 1)
    rows = []  # of E
    at = 0
    for g, k in work.counts.items():
        n = len(data.ids(g))
        seed = work.rng(f"k-means {g}").getrandbits(31)
        found = KMeans(k, n_init=10, random_state=seed).fit_predict(
            h[batch.rows[at : at + n]].cpu().numpy(), sample_weight=weight[at : at + n].cpu().numpy()
        )
        for c in range(k):
            mine = torch.zeros_like(weight)
            mine[at : at + n] = weight[at : at + n] * torch.from_numpy(found == c).to(weight.device)
            rows.append(mine / mine.sum())
        at += n
    e = torch.stack(rows)  # (N', n)
    return DenseGraph(work.counts, e @ batch.x[batch.rows], carrying(e @ h[batch.rows], e @ arrives))


def carrying(p: Tensor, q: Tensor, tolerance: float = 1e-3) -> Tensor:  # (N', d) each -> (N', N')
    r"""\argmin_A \| A P - Q \|^2 = Q P^+, of which what is negative, and the diagonal, is set to 0. Singular values of P below
    `tolerance` of the largest count as 0."""
    a: Tensor = q.double() @ torch.linalg.pinv(p.double(), rtol=tolerance)
    return (a.clamp_min(0) * (1 - torch.eye(len(a), dtype=a.dtype, device=a.device))).to(q.dtype)


def _trained(work: Work[Any], batch: Graph, epochs: int, model: str | None) -> nn.Module:
    """A network that took one step an epoch on all training nodes."""
    net = work.problem.new_model(work.rng("network"), model)
    adam = optimiser(net, "adam", 0.01, weight_decay=5e-4)
    with torch_seeded(work.rng("training").getrandbits(63)):
        fit(work.problem, net, repeat((batch, torch.tensor(0.01)), epochs), adam)
    return net.eval()
