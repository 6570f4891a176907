"""Fake users for other libraries: a table, RecBole's atomic file, a sparse matrix."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ddcore.errors import ArtifactError, NotSupported
from ddcore.storage import write_bytes

from .discrete import discrete
from .users import sparse_rows, user_data

if TYPE_CHECKING:
    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

__all__ = ["to_csr", "to_csv", "to_dense_csr", "to_inter"]


def to_csv(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Discrete fake users as `user_id,item_id,weight` with the items' own ids: what pandas, RecTools and LensKit read."""
    return _lines(artifact, problem, out, "user_id,item_id,weight", ",")


def to_inter(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Discrete fake users as RecBole's atomic file."""
    return _lines(artifact, problem, out, "user_id:token\titem_id:token\trating:float", "\t")


def to_csr(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Discrete fake users as a CSR matrix of users by items, `scipy.sparse.load_npz(out)`: what implicit reads. The items' own
    ids, a column each, lie beside it: `numpy.load(out)["item_ids"]`."""
    return _matrix(_discrete(artifact, problem), _problem(artifact, problem), out)


def to_dense_csr(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Fake users with their weights as they are, as `to_csr`: what kernel regression and EASE want."""
    return _matrix(sparse_rows(artifact.synthetic(_problem(artifact, problem))), _problem(artifact, problem), out)


def _problem(artifact: Artifact, problem: Problem[Any] | None) -> Problem[Any]:
    if problem is None:
        raise ArtifactError("fake users are rows of numbers: give the problem too, which knows the items' ids")
    if artifact.manifest["input_space"] != "histories":
        raise NotSupported("only histories of users become interactions: export this set to pt")
    return problem


def _discrete(artifact: Artifact, problem: Problem[Any] | None) -> sp.csr_array:
    return discrete(artifact.synthetic(_problem(artifact, problem))).rows


def _lines(artifact: Artifact, problem: Problem[Any] | None, out: Path, header: str, sep: str) -> Path:
    rows = _discrete(artifact, problem)
    ids = user_data(_problem(artifact, problem)).items
    user = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    names = [_quoted(name, sep) for name in ids.tolist()]
    lines = [header, *(f"fake{u}{sep}{names[i]}{sep}1" for u, i in zip(user, rows.indices, strict=True))]
    write_bytes(out, ("\n".join(lines) + "\n").encode())
    return out


def _quoted(name: str, sep: str) -> str:
    special = any(mark in name for mark in (sep, '"', "\n", "\r"))
    return '"' + name.replace('"', '""') + '"' if special else name


def _matrix(rows: sp.csr_array, problem: Problem[Any], out: Path) -> Path:
    buffer = io.BytesIO()
    sp.save_npz(buffer, rows)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as packed, packed.open("item_ids.npy", "w") as part:
        np.lib.format.write_array(part, user_data(problem).items, allow_pickle=False)
    write_bytes(out, buffer.getvalue())
    return out
