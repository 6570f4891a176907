"""The problems of node classification: data from its public layout, networks, free features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import Preprocessing, Problem, Task
from ddcore.rows import Classification

from .batch import Graph
from .corrupt import dropped_edges, dropped_features
from .data import NodeData, class_split
from .edges import tidied
from .kernels.sntk import SNTK
from .models import node_zoo
from .parametrizations.features import features_only
from .preprocess import Normalise, dense, deviation, prepared
from .properties import properties_of_nodes
from .readers.npz import find_npz, read_npz
from .readers.ogb import read_ogb_nodes
from .readers.planetoid import read_planetoid
from .readers.raw import RawGraph, missing, named, reals, several_classes
from .readers.saint import read_saint
from .recipes import GRAPH
from .show import drawing

__all__ = [
    "amazon_computers",
    "amazon_photo",
    "citeseer",
    "coauthor_cs",
    "coauthor_physics",
    "cora",
    "cora_ml",
    "digits_knn",
    "flickr",
    "node_problem",
    "ogbn_arxiv",
    "ogbn_products",
    "problem_of",
    "pubmed",
    "reddit",
]

KERNEL_NODES = 20_000
"""SNTK is between all pairs of nodes once: of larger graphs there is none."""

Hidden = Annotated[
    int, Field(ge=1, description="hidden units of the networks; sgc has none, and gat 8 heads of 16 whatever this is")
]
Fanout = Annotated[
    Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None,
    Field(description="neighbours drawn a hop, such as [10, 5], where the graph does not fit; all of them by default"),
]


def node_problem(
    x: Tensor,  # (N, d)
    edges: Tensor,  # (2, E)
    y: Tensor,  # (N,) 0 .. k-1; -1: unlabelled
    splits: Mapping[str, Sequence[int]],
    class_names: Sequence[str],
    *,
    weights: Tensor | None = None,  # (E,)
    inductive: bool = False,
    drawn: bool = False,
    fanout: Sequence[int] | None = None,
    preprocessing: Preprocessing | None = None,
    hidden: int = 256,
) -> Problem[Graph]:
    """A problem of node classification from tensors: the way for data that no reader here knows. Edges have both directions, no
    self loops and no repeats (`edges.tidied` sees to that).

    Raises DataError where the splits hold unlabelled nodes.
    """
    data = NodeData(x, edges, y, splits, weights=weights, inductive=inductive, drawn=drawn, fanout=fanout)
    d, classes, size = x.shape[1], len(class_names), deviation(x[list(splits["train"])])
    return Problem(
        name="graph",
        data=data,
        task=cast("Task[Graph]", Classification(classes)),  # a graph's labels go by the names of a row's
        models=node_zoo(d, classes, hidden=hidden),
        synthetic=partial(features_only, d),
        recipe=GRAPH,
        corruptions={"dropped features": dropped_features, "dropped edges": dropped_edges},
        kernels={"sntk": SNTK()} if len(x) <= KERNEL_NODES else {},
        preprocessing=preprocessing or Preprocessing("none"),
        class_names=tuple(class_names),
        render=partial(drawing, tuple(class_names), data),
        properties=properties_of_nodes,
        quick={
            "dc": {"lr": size**2},
            "mtt": {"lr": 30 * size**2},
        },  # their losses do not change with the features' scale
    )


def problem_of(
    raw: RawGraph,
    normalise: Normalise,
    *,
    inductive: bool = False,
    directed: bool = False,
    fanout: Sequence[int] | None = None,
    hidden: int = 256,
) -> Problem[Graph]:
    """A problem from what a file held. Raises DataError for a graph without a class to learn."""
    with named(raw.place):
        several_classes(raw.class_names)
        splits = raw.splits or class_split(raw.y.tolist())
        if not splits.get("train"):
            raise DataError(
                f"the split has {', '.join(splits)} and no training node: name them, or leave the split out"
            )
        x = dense(raw.x)
        if len(raw.y) != len(x):
            raise DataError(f"{len(raw.y)} labels and features of {len(x)} nodes: they are to be as many")
        x, done = prepared(x, normalise, splits["train"])
        given = None if raw.weights is None else reals("weights", raw.weights)
        edges, weights = tidied(raw.source, raw.target, len(x), given, directed=directed)
        return node_problem(
            x,
            edges,
            torch.from_numpy(raw.y),
            splits,
            raw.class_names,
            weights=weights,
            inductive=inductive,
            drawn=raw.splits is None,
            fanout=fanout,
            preprocessing=done,
            hidden=hidden,
        )


# ---------------------------------------------------------------------------------------------------------------------
# part of the install


def digits_knn(
    *,
    neighbours: Annotated[int, Field(ge=1, description="nearest digits that each digit has an edge to")] = 5,
    hidden: Hidden = 64,
) -> Problem[Graph]:
    """scikit-learn's digits as a graph: 1,797 nodes of 64 pixels, edges between nearest neighbours; 20 nodes a class to train on,
    30 for val."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import kneighbors_graph

    found = load_digits()
    near = kneighbors_graph(found.data, neighbours).tocoo()
    names = [str(d) for d in range(10)]
    source, target = near.row.astype(np.int64), near.col.astype(np.int64)
    raw = RawGraph(found.data / 16, source, target, found.target.astype(np.int64), names)
    return problem_of(raw, "none", hidden=hidden)


# ---------------------------------------------------------------------------------------------------------------------
# by --data


def cora(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Cora (Yang et al. 2016): 2,708 papers, 7 fields, the public split of 140/500/1,000; words, rows divided by their sums."""
    return _planetoid(data, "cora", fanout, hidden)


def citeseer(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Citeseer (Yang et al. 2016): 3,327 papers, 6 fields, the public split of 120/500/1,000."""
    return _planetoid(data, "citeseer", fanout, hidden)


def pubmed(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Pubmed (Yang et al. 2016): 19,717 papers, 3 fields, the public split of 60/500/1,000."""
    return _planetoid(data, "pubmed", fanout, hidden)


def _planetoid(data: Path | None, name: str, fanout: Sequence[int] | None, hidden: int) -> Problem[Graph]:
    files = f"Planetoid's ind.{name}.x ... ind.{name}.test.index, or {name}.npz"
    if data is None:
        raise missing(name, data, files, "github.com/kimiyoung/planetoid, folder data")
    npz = find_npz(data, name)
    raw = read_npz(npz) if npz is not None else read_planetoid(data, name)
    return problem_of(raw, "rows", fanout=fanout, hidden=hidden)


def cora_ml(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Cora-ML (Bojchevski and Guennemann 2018): 2,995 papers, 7 fields; cora_ml.npz."""
    return _shchur(data, "cora_ml", "cora_ml", fanout, hidden)


def amazon_photo(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Amazon Photo (Shchur et al. 2018): 7,650 products, 8 kinds; amazon_electronics_photo.npz."""
    return _shchur(data, "amazon_photo", "amazon_electronics_photo", fanout, hidden)


def amazon_computers(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Amazon Computers (Shchur et al. 2018): 13,752 products, 10 kinds; amazon_electronics_computers.npz."""
    return _shchur(data, "amazon_computers", "amazon_electronics_computers", fanout, hidden)


def coauthor_cs(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Coauthor CS (Shchur et al. 2018): 18,333 authors, 15 fields; ms_academic_cs.npz."""
    return _shchur(data, "coauthor_cs", "ms_academic_cs", fanout, hidden)


def coauthor_physics(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Coauthor Physics (Shchur et al. 2018): 34,493 authors, 5 fields; ms_academic_phy.npz."""
    return _shchur(data, "coauthor_physics", "ms_academic_phy", fanout, hidden)


def _shchur(data: Path | None, name: str, public: str, fanout: Sequence[int] | None, hidden: int) -> Problem[Graph]:
    """The file by its public name or by the graph's. A word is there or not, 1 or 0; the split of Shchur et al.: 20 nodes a class
    to train on, 30 for val."""
    found = None if data is None else find_npz(data, public, name)
    if found is None:
        files = " or ".join(f"{n}.npz" for n in dict.fromkeys((public, name)))
        raise missing(name.replace("_", "-"), data, files, "github.com/shchur/gnn-benchmark, folder data/npz")
    raw = read_npz(found)
    return problem_of(replace(raw, x=(dense(raw.x) > 0).numpy()), "none", fanout=fanout, hidden=hidden)


def ogbn_arxiv(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """ogbn-arxiv (Hu et al. 2020): 169,343 papers, 40 fields, split by time; standardised features; the unpacked ogbn_arxiv."""
    if data is None:
        raise missing("ogbn-arxiv", data, "the unpacked ogbn_arxiv with its folders raw and split", "ogb.stanford.edu")
    return problem_of(read_ogb_nodes(data, "ogbn-arxiv"), "standard", fanout=fanout, hidden=hidden)


def ogbn_products(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """ogbn-products (Hu et al. 2020): 2,449,029 products, 47 kinds, split by sales; the unpacked ogbn_products."""
    if data is None:
        raise missing(
            "ogbn-products", data, "the unpacked ogbn_products with its folders raw and split", "ogb.stanford.edu"
        )
    return problem_of(read_ogb_nodes(data, "ogbn-products"), "none", fanout=fanout, hidden=hidden)


def flickr(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Flickr (Zeng et al. 2020), inductive: 89,250 pictures, 7 kinds; GraphSAINT's files. Features are standardised."""
    return _saint(data, "flickr", fanout, hidden)


def reddit(data: Path | None = None, *, fanout: Fanout = None, hidden: Hidden = 256) -> Problem[Graph]:
    """Reddit (Hamilton et al. 2017), inductive: 232,965 posts, 41 communities; GraphSAINT's files. Features are standardised."""
    return _saint(data, "reddit", fanout, hidden)


def _saint(data: Path | None, name: str, fanout: Sequence[int] | None, hidden: int) -> Problem[Graph]:
    if data is None:
        files = "adj_full.npz, feats.npy, class_map.json and role.json, or reddit_data.npz and reddit_graph.npz"
        raise missing(name, data, files, "github.com/GraphSAINT/GraphSAINT, its data folder")
    return problem_of(read_saint(data, name), "standard", inductive=True, fanout=fanout, hidden=hidden)
