"""A coarsened graph as a set: the nodes that hold labelled ones, and the edges between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from .coarsening import coarse_weights, neighbourhoods
from .data import node_data
from .parametrizations.dense import DenseGraph

if TYPE_CHECKING:
    from ddcore.methods.plan import Work

__all__ = ["contracted_graph"]


def contracted_graph(work: Work[Any], *, levels: int, signals: int) -> DenseGraph:
    """As many nodes as the budget has, or fewer. A node's features are the mean of all that it was contracted from, labelled or
    not, its class that of most of the training nodes among them; how many nodes a class gets follows from the graph. Nodes
    without a training node are left out, and where too many have one, those made of the fewest."""
    data, target = node_data(work.problem), sum(work.counts.values())
    part = data.part("train")
    n = len(part.x)
    rows = part.position[list(data.ids())].cpu().numpy()
    source, sink = part.edges.cpu().numpy()
    values = np.ones(len(source)) if part.weights is None else part.weights.double().cpu().numpy()
    w = sparse.csr_array((values, (sink, source)), shape=(n, n))
    w = (w + w.T) / 2
    labelled = np.zeros(n, dtype=bool)
    labelled[rows] = True
    seed = work.rng("eigenvectors").getrandbits(31)
    member = neighbourhoods(w, labelled, target, levels=levels, k=signals, seed=seed)

    sizes, classes = np.bincount(member), part.y.cpu().numpy()
    votes = np.zeros((len(sizes), int(classes.max()) + 1))
    np.add.at(votes, (member[rows], classes[rows]), 1)
    chosen = np.flatnonzero(votes.any(1))
    chosen = chosen[np.argsort(-sizes[chosen], kind="stable")[:target]]
    label = votes.argmax(1)
    chosen = chosen[np.argsort(label[chosen], kind="stable")]  # group-major
    groups, numbers = np.unique(label[chosen], return_counts=True)

    mean = sparse.csr_array((1 / sizes[member], (member, np.arange(n))), shape=(len(sizes), n))
    x = torch.from_numpy(mean[chosen] @ part.x.cpu().numpy()).float()
    adj = torch.from_numpy(coarse_weights(w, member)[chosen][:, chosen].toarray()).float()
    return DenseGraph(dict(zip(groups.tolist(), numbers.tolist(), strict=True)), x, adj)
