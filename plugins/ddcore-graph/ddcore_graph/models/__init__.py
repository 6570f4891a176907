"""The zoo: the networks that graph problems train and evaluate on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from .appnp import APPNP, GPRGNN
from .cheb import ChebNet
from .gat import GAT
from .gcn import GCN
from .gin import GIN
from .mlp import MLP
from .pooled import PooledGCN, PooledGIN, PooledMLP
from .sage import GraphSAGE
from .sgc import SGC
from .sgformer import SGFormer

__all__ = [
    "APPNP",
    "GAT",
    "GCN",
    "GIN",
    "GPRGNN",
    "MLP",
    "SGC",
    "ChebNet",
    "GraphSAGE",
    "PooledGCN",
    "PooledGIN",
    "PooledMLP",
    "SGFormer",
    "graph_zoo",
    "node_zoo",
]


def node_zoo(d: int, classes: int, *, hidden: int = 256, dropout: float = 0.5) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name, "gcn" first. Networks are of two layers, with the field's settings for what is not given here."""
    wide: dict[str, Any] = {"hidden": hidden, "dropout": dropout}
    return {
        "gcn": partial(GCN, d, classes, **wide),
        "gcn-plain": partial(GCN, d, classes, hidden=hidden, dropout=0.0),  # what trajectories are matched in
        "sgc": partial(SGC, d, classes),
        "sgc-2": partial(SGC, d, classes, hidden=hidden),  # the product of two matrices
        "gat": partial(GAT, d, classes, dropout=dropout),
        "appnp": partial(APPNP, d, classes, **wide),
        "cheb": partial(ChebNet, d, classes, **wide),
        "sage": partial(GraphSAGE, d, classes, **wide),
        "gin": partial(GIN, d, classes, **wide),
        "gpr-gnn": partial(GPRGNN, d, classes, **wide),
        "sgformer": partial(SGFormer, d, classes, **wide),
        "mlp": partial(MLP, d, classes, **wide),
    }


def graph_zoo(d: int, classes: int, *, hidden: int = 128) -> dict[str, Callable[[], nn.Module]]:
    """Constructors by name of networks for whole graphs, "gcn" first."""
    return {
        "gcn": partial(PooledGCN, d, classes, hidden=hidden),
        "gin": partial(PooledGIN, d, classes, hidden=max(hidden // 2, 1)),
        "mlp": partial(PooledMLP, d, classes, hidden=hidden),
    }
