"""Planetoid's files (Yang et al. 2016): `ind.NAME.x`, `.tx`, `.allx`, `.y`, `.ty`, `.ally`, `.graph`, `.test.index`.

They are Python 2 pickles. What reads them admits arrays, sparse matrices and the dict of lists that a graph is, and nothing else.
"""

from __future__ import annotations

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ddcore.errors import DataError

from .raw import RawGraph, integers, missing, reading

__all__ = ["read_pickle", "read_planetoid"]

SOURCE = "github.com/kimiyoung/planetoid, folder data"
PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph")
VAL = 500


def read_planetoid(data: Path, name: str) -> RawGraph:
    """The graph and the public split: the first nodes to train on, the next 500 for val, those of the test index.

    Raises DataError for files that are missing or hold something else than arrays.
    """
    places = (data, data / "raw", data / name, *sorted(data.glob("*/raw")))
    folder = next((f for f in places if (f / f"ind.{name}.x").is_file()), None)
    if folder is None:
        raise missing(
            name,
            data,
            f"Planetoid's ind.{name}.x, .tx, .allx, .y, .ty, .ally, .graph and .test.index, or {name}.npz",
            SOURCE,
        )
    absent = [f"ind.{name}.{part}" for part in (*PARTS, "test.index") if not (folder / f"ind.{name}.{part}").is_file()]
    if absent:
        raise missing(name, folder, ", ".join(absent), SOURCE)
    held = {part: read_pickle(folder / f"ind.{name}.{part}") for part in PARTS}
    x, tx, allx, y, ty, ally, graph = held.values()
    with reading(folder / f"ind.{name}.test.index", f"a number a line is expected; get it anew from {SOURCE}"):
        test = np.loadtxt(folder / f"ind.{name}.test.index", dtype=np.int64, ndmin=1)
    with reading(folder, f"the files ind.{name}.* do not fit each other; get them anew from {SOURCE}"):
        n = len(graph.keys())
        features = sparse.lil_matrix((n, allx.shape[1]), dtype=np.float32)
        labels = np.zeros((n, y.shape[1]))
        features[: allx.shape[0]], labels[: allx.shape[0]] = allx, ally
        features[test], labels[test] = tx, ty  # Citeseer: some nodes are in no file, so without features and label
        pairs = integers("neighbours", np.array([(i, j) for i, near in graph.items() for j in near]).reshape(-1, 2))
    return RawGraph(
        x=features.tocsr(),
        source=pairs[:, 0],
        target=pairs[:, 1],
        y=np.where(labels.any(1), labels.argmax(1), -1),
        class_names=[str(c) for c in range(y.shape[1])],
        splits={
            "train": range(x.shape[0]),
            "val": range(x.shape[0], min(x.shape[0] + VAL, len(ally))),
            "test": sorted(test.tolist()),
        },
        place=folder,
    )


class _Matrix:
    """Stands for scipy's csr_matrix while a pickle is read, whichever version wrote it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def csr(self) -> Any:
        shape = self.state.get("_shape", self.state.get("shape"))
        return sparse.csr_matrix((self.state["data"], self.state["indices"], self.state["indptr"]), shape=shape)


def _dtype(name: Any, align: Any = False, copy: Any = False) -> Any:
    kind = np.dtype(name, align, copy)
    if kind.hasobject:
        raise pickle.UnpicklingError("an array of Python objects")
    return kind


def _array(*_: Any) -> Any:
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _plain(cls: type, base: type, state: Any) -> Any:
    """`copyreg._reconstructor`, of the classes that are admitted."""
    if cls is not _Matrix:
        raise pickle.UnpicklingError(f"{cls} is no array")
    return _Matrix()


def _encode(text: str, how: str = "latin1") -> bytes:
    """`codecs.encode`, which Python 3 writes bytes with."""
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _array for core in ("core", "_core")},
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    **{(f"scipy.sparse.{module}", "csr_matrix"): _Matrix for module in ("csr", "_csr")},
    ("collections", "defaultdict"): collections.defaultdict,
    **{(module, "list"): list for module in ("__builtin__", "builtins")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
    **{(module, "_reconstructor"): _plain for module in ("copy_reg", "copyreg")},
}


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array")
        return ADMITTED[module, name]


def read_pickle(file: Path) -> Any:
    """An array, a sparse matrix, or a dict of lists. Raises DataError where the file holds anything else, which is not run."""
    try:
        found = _Arrays(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise DataError(f"{file} is not one of Planetoid's files ({error}): get it anew from {SOURCE}") from error
    return found.csr() if isinstance(found, _Matrix) else found
