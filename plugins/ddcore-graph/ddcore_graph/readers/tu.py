"""TUDatasets (Morris et al. 2020): `NAME_A.txt`, `NAME_graph_indicator.txt`, `NAME_graph_labels.txt`, and where there are any
`NAME_node_labels.txt` and `NAME_node_attributes.txt`; or the same as one `.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError

from .ogb import Molecules, one_hot
from .raw import Ints, arrays, integers, missing, numbered, reading, reals

__all__ = ["read_tu"]

SOURCE = "www.graphlearning.io"
SHAPES = (
    "a set of graphs is `edge_index` (2, E), `node_ptr` (graphs + 1,) and `graph_label` (graphs,), and where there are any "
    "`node_label` (N,) and `node_attr` (N, d)"
)
MOST_DEGREES = 64


def read_tu(data: Path, name: str | None = None) -> Molecules:
    """The graphs of the folder or of NAME.npz. Node labels are one-hot, attributes follow; where there is neither, a node's
    features are its degree, one-hot. Raises DataError where the folder holds several sets and no `name` is given."""
    if data.is_file() and data.suffix == ".npz":
        return _npz(data)
    folders = [data, *([data / name, data / name / "raw"] if name else []), data / "raw"]
    found = {p.name.removesuffix("_A.txt"): p for f in folders for p in sorted(f.glob(f"{name or '*'}_A.txt"))}
    found = found or {p.stem: p for p in sorted(data.glob(f"{name or '*'}.npz"))}
    if not found:
        expected = "{0}_A.txt and its neighbours, or {0}.npz".format(name or "NAME")
        raise missing(name or "a TUDataset", data, expected, SOURCE)
    if len(found) > 1:
        raise DataError(
            f"{data} holds {', '.join(found)}: say which by its name, --set problem.name={next(iter(found))}"
        )
    ((stem, file),) = found.items()
    if file.suffix == ".npz":
        return _npz(file)
    folder = file.parent

    def table(part: str) -> NDArray[Any] | None:
        file = folder / f"{stem}_{part}.txt"
        with reading(file, f"a table of numbers is expected; get it anew from {SOURCE}"):
            return np.loadtxt(file, delimiter=",", ndmin=2) if file.is_file() else None

    def needed(part: str, columns: int) -> NDArray[Any]:
        found, file = table(part), f"{stem}_{part}.txt"
        if found is None:
            raise missing(stem, folder, file, SOURCE)
        if found.shape[1] != columns:
            raise DataError(
                f"{folder / file} is of shape {found.shape} and has {columns} columns: get it anew from {SOURCE}"
            )
        return found

    with reading(folder, f"get {stem} anew from {SOURCE}"):
        ends = integers(f"the nodes in {stem}_A.txt", needed("A", 2)) - 1
        which = integers(f"the graphs in {stem}_graph_indicator.txt", needed("graph_indicator", 1)[:, 0]) - 1
        if (np.diff(which, prepend=0) < 0).any():
            raise DataError(f"{folder}: the nodes of {stem} are not graph by graph: get it anew from {SOURCE}")
        labels = needed("graph_labels", 1)[:, 0]
        kinds, attributes = table("node_labels"), table("node_attributes")
        return _made(ends[:, 0], ends[:, 1], np.bincount(which), kinds, attributes, labels, folder, stem)


def _npz(file: Path) -> Molecules:
    d = arrays(file, SHAPES)
    if absent := {"edge_index", "node_ptr", "graph_label"} - set(d):
        raise DataError(f"{file} has no {', '.join(sorted(absent))}, and holds {', '.join(d)}")
    with reading(file, SHAPES):
        kinds = d["node_label"][:, None] if "node_label" in d else None
        source, target = integers("`edge_index`", d["edge_index"])
        nodes = np.diff(integers("`node_ptr`", d["node_ptr"]))
        return _made(source, target, nodes, kinds, d.get("node_attr"), d["graph_label"], file, file.stem)


def _made(
    source: Ints,
    target: Ints,
    nodes: Ints,
    kinds: NDArray[Any] | None,  # (N, columns)
    attributes: NDArray[Any] | None,  # (N, d)
    labels: NDArray[Any],
    place: Path,
    name: str,
) -> Molecules:
    n = int(nodes.sum())
    for what, given in {"node labels": kinds, "node attributes": attributes}.items():
        if given is not None and len(given) != n:
            raise DataError(f"there are {n} nodes, and {what} of {len(given)}: give each its own")
    parts = [] if kinds is None else [one_hot(column) for column in kinds.T]
    parts += [] if attributes is None else [reals("attributes", attributes)]
    if not parts:
        degree = np.bincount(target, minlength=n)
        parts = [one_hot(np.minimum(degree, MOST_DEGREES))]
    y, names = numbered(labels, unlabelled=None)  # two classes are often -1 and 1
    return Molecules(np.concatenate(parts, 1), nodes, source, target, y, names, place=place, name=name)
