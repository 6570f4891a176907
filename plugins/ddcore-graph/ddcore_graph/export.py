"""Condensed graphs for other programs: torch-geometric, NetworkX, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddcore.errors import ArtifactError, NotSupported
from ddcore.problem import tensors
from ddcore.storage import replacing, write_bytes, write_text

if TYPE_CHECKING:
    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

__all__ = ["to_csv", "to_networkx", "to_pyg"]


@dataclass(frozen=True)
class _One:
    """A graph of its own, on the CPU; `nodes`: its labels are its nodes'."""

    x: Tensor  # (n, d)
    edges: Tensor  # (2, E)
    weights: Tensor  # (E,)
    y: Tensor  # of nodes (n,) or (n, k); of a graph (1,) or (1, k)
    nodes: bool


def to_pyg(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """One file: `Data.from_dict(torch.load(out, weights_only=True))`, with x, edge_index, edge_weight and y. Of a set of graphs,
    or of several structures over the same nodes, the file holds a list of such dicts."""
    graphs = [{"x": g.x, "edge_index": g.edges, "edge_weight": g.weights, "y": g.y} for g in _graphs(artifact, problem)]
    buffer = io.BytesIO()
    torch.save(graphs if _many(artifact, problem) else graphs[0], buffer)
    write_bytes(out, buffer.getvalue())
    return out


def to_networkx(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A JSON file of node-link data: `networkx.node_link_graph(json.load(file), edges="edges")`. Nodes have `x` and `y`, edges a
    `weight`; an edge that has the same weight in both directions is there once, in an undirected graph."""
    import networkx as nx

    made = []
    for g in _graphs(artifact, problem):
        source, target = g.edges.tolist()
        weight = dict(zip(zip(source, target, strict=True), g.weights.tolist(), strict=True))
        undirected = all(weight.get((b, a)) == w for (a, b), w in weight.items())
        graph: Any = nx.Graph() if undirected else nx.DiGraph()
        for i, x in enumerate(g.x.tolist()):
            graph.add_node(i, x=x, **({"y": g.y[i].tolist()} if g.nodes else {}))
        graph.add_weighted_edges_from((a, b, w) for (a, b), w in weight.items())
        if not g.nodes:
            graph.graph["y"] = g.y[0].tolist()
        made.append(nx.node_link_data(graph, edges="edges"))
    write_text(out, json.dumps(made if _many(artifact, problem) else made[0]) + "\n")
    return out


def to_csv(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A folder with edges.csv, features.csv, labels.csv and split.csv: what `graph/file` reads. All nodes are training nodes.

    Raises NotSupported for a set of graphs, and for labels that are not class numbers.
    """
    if _many(artifact, problem):
        raise NotSupported("CSV files hold one graph, and this is a set of them: export it to pyg or networkx")
    if artifact.manifest["label_kind"] != "ids":
        raise NotSupported(
            f"labels.csv holds a class a node, and the labels here are {artifact.manifest['label_kind']!r}: export it to pyg"
        )
    (g,) = _graphs(artifact, problem)
    names = artifact.manifest["class_names"]
    label = [names[c] if c < len(names) else c for c in g.y.tolist()]
    with replacing(out) as folder:
        folder.mkdir()
        edges = zip(*g.edges.tolist(), (f"{w:.9g}" for w in g.weights.tolist()), strict=True)
        _write(folder / "edges.csv", ["source", "target", "weight"], edges)
        columns = [f"x{k}" for k in range(g.x.shape[1])]
        rows = ([i, *(f"{v:.9g}" for v in x)] for i, x in enumerate(g.x.tolist()))
        _write(folder / "features.csv", ["node", *columns], rows)
        _write(folder / "labels.csv", ["node", "label"], enumerate(label))
        _write(folder / "split.csv", ["node", "split"], ((i, "train") for i in range(len(g.x))))
    return out


def _write(file: Path, header: list[str], rows: Any) -> None:
    with file.open("w", newline="", encoding="utf-8") as table:
        write = csv.writer(table, lineterminator="\n")
        write.writerow(header)
        write.writerows(rows)


def _decoded(artifact: Artifact, problem: Problem[Any] | None) -> Mapping[str, Tensor]:
    """The fields of the set's batch; what is stored where that is several structures, of which a batch has one."""
    if problem is not None and "which" not in artifact.tensors:
        with torch.no_grad():
            return {name: t.cpu() for name, t in tensors(artifact.synthetic(problem).batch())}
    if "x" not in artifact.tensors:
        name = artifact.manifest["parametrization"]["name"]
        raise ArtifactError(
            f"the set is stored as {name}, not as a graph: give the problem too, so that it can be decoded"
        )
    return artifact.tensors


def _many(artifact: Artifact, problem: Problem[Any] | None) -> bool:
    held = _decoded(artifact, problem)
    return held["x"].ndim == 3 or "graph" in held or "which" in held


def _graphs(artifact: Artifact, problem: Problem[Any] | None) -> list[_One]:
    held = _decoded(artifact, problem)
    y = held["values"] if artifact.manifest["label_kind"] == "values" else held["y"]
    if held["x"].ndim == 3:  # dense graphs
        return [_of_dense(held, held["mask"][i].nonzero().flatten(), y[i : i + 1], i) for i in range(len(y))]
    if "graph" in held:  # sparse graphs, one after another
        owner = held["graph"]
        return [_of_sparse(held, (owner == i).nonzero().flatten(), y[i : i + 1], nodes=False) for i in range(len(y))]
    rows = held.get("rows", torch.arange(len(held["x"])))
    if "which" in held:  # several structures over the same nodes
        kept = [held["which"] == b for b in range(int(held["which"].max()) + 1 if len(held["which"]) else 1)]
        parts = [{**held, "edges": held["edges"][:, k], "weights": held["weights"][k]} for k in kept]
        return [_of_sparse(part, rows, y) for part in parts]
    if "adj" in held:
        return [_of_dense(held, rows, y, None)]
    return [_of_sparse(held, rows, y)]


def _of_dense(held: Mapping[str, Tensor], nodes: Tensor, y: Tensor, i: int | None) -> _One:
    x, a = (held["x"], held["adj"]) if i is None else (held["x"][i], held["adj"][i])
    a = a[nodes][:, nodes]
    target, source = a.nonzero(as_tuple=True)
    return _One(x[nodes].clone(), torch.stack([source, target]), a[target, source], y.clone(), i is None)


def _of_sparse(held: Mapping[str, Tensor], chosen: Tensor, y: Tensor, nodes: bool = True) -> _One:
    new = torch.full((len(held["x"]),), -1)
    new[chosen] = torch.arange(len(chosen))
    edges = new[held.get("edges", torch.empty(2, 0, dtype=torch.long))]
    there = (edges >= 0).all(0)
    weights = held.get("weights", torch.ones(edges.shape[1]))
    return _One(held["x"][chosen].clone(), edges[:, there], weights[there].clone(), y.clone(), nodes)
