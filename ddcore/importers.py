"""Importers: a set that was made elsewhere, as an artifact that is scored and shown like any other.

An importer (entry kind `importer`) is a function `(path, problem) -> Synthetic`. It raises ArtifactError where the file or
folder is not of its form, and says what it expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from . import labels as kinds
from .artifact import Artifact
from .errors import ArtifactError, DataError, NotSupported
from .parametrizations.base import Synthetic
from .plugins import installed
from .problem import Problem
from .rows import Rows, RowSynthetic

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Importer", "by_class", "from_pt", "import_set", "load_tensors", "probabilities", "row_synthetic"]

Importer = Callable[[Path, Problem[Any]], Synthetic[Any]]

_scalar = np.float64().__reduce__()[0]

NUMPY_SCALARS: list[Any] = [
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    (_scalar, "numpy._core.multiarray.scalar"),
    (_scalar, "numpy.core.multiarray.scalar"),
]
"""What DC's files hold beside tensors: accuracies, as numpy numbers of either name."""

LAYOUTS = (
    'a .pt file of DC, DSA or DM ({"data": [[images, labels], ...]}), one of images and labels ({"x": ..., "y": ...}), '
    "or a folder of MTT, FTD or DATM with images_best.pt and labels_best.pt"
)


def import_set(
    path: str | PathLike[str], form: str, problem: Problem[Any], *, method: str = "imported", paper: str | None = None
) -> Artifact:
    """The set at `path`, written in the form `form` ("pt", "png" ...), as an artifact of `problem`.

    A bare form is looked up in the problem's modality first, then in the core. `method` and `paper` are what the artifact
    says it was made by. Raises UnknownName, DataError where nothing is at `path`, and ArtifactError where it is of another form.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"nothing at {path}: give the file or folder that holds the set")
    read: Importer = installed().find("importer", form, problem.name.partition("/")[0]).load()
    synthetic = read(path, problem)
    rows = set(synthetic.counts.values())
    budget = {"ipc": rows.pop()} if len(rows) == 1 else {"rows": sum(synthetic.counts.values())}
    made_by = {"name": method, "preset": None, "options": {"from": form}, "paper": paper}
    return Artifact.of(problem, synthetic, method=made_by, budget=budget, seed=0)


def from_pt(path: Path, problem: Problem[Any]) -> RowSynthetic:
    """Images and labels as the matching papers' code saves them: normalised (and whitened) as their networks read them, which
    is how `problem` has to be loaded. Of a file with several experiments the first is taken.

    Labels of shape (n,) are class numbers; (n, k) are probabilities where rows are, and else logits, of which a softmax
    makes probabilities, as in DATM's code. A learned learning rate in `lr_best.pt` becomes the set's step size.
    """
    if path.is_dir():
        parts = [path / f"{name}_best.pt" for name in ("images", "labels")]
        if missing := [part.name for part in parts if not part.is_file()]:
            raise ArtifactError(f"{path} has no {' and no '.join(missing)}: expected {LAYOUTS}")
        x, y = (load_tensors(part) for part in parts)
        lr = load_tensors(path / "lr_best.pt") if (path / "lr_best.pt").is_file() else None
    else:
        x, y, lr = *_pair(load_tensors(path), path), None
    if not _numbers(x) or not _numbers(y):
        raise ArtifactError(f"{path} holds {_what(x)} and {_what(y)}, not two dense tensors: expected {LAYOUTS}")
    synthetic = row_synthetic(problem, x.detach().float(), y.detach(), str(path))
    return synthetic if lr is None else synthetic.start_step_size(_step_size(lr, path / "lr_best.pt"))


def load_tensors(file: Path, expected: str = LAYOUTS) -> Any:
    """What `torch.save` wrote, without running anything of it. Raises ArtifactError, which says what was `expected`."""
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the bytes are anyone's, and so is what the reader stumbles over
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(
            f"{file} cannot be read as tensors (code in it is never run): {first}. Expected {expected}"
        ) from error


def _pair(found: Any, path: Path) -> tuple[Any, Any]:
    if isinstance(found, Mapping) and "data" in found:
        found = found["data"]
        if isinstance(found, list | tuple) and found and isinstance(found[0], list | tuple) and len(found[0]) == 2:
            return found[0][0], found[0][1]
    elif isinstance(found, Mapping) and {"x", "y"} <= found.keys():
        return found["x"], found["y"]
    raise ArtifactError(f"{path} holds {_what(found)}: expected {LAYOUTS}")


def _step_size(found: Any, file: Path) -> float:
    lr = found.item() if isinstance(found, Tensor) and found.numel() == 1 else found
    if not isinstance(lr, int | float | np.floating) or not (math.isfinite(lr) and lr > 0):
        raise ArtifactError(f"{file} holds {_what(lr)}, and a learning rate is a positive number")
    return float(lr)


def _numbers(found: Any) -> bool:
    return isinstance(found, Tensor) and found.layout == torch.strided and not found.is_complex()


def _what(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"a tensor of shape {tuple(found.shape)}"
    if isinstance(found, Mapping):
        return f"keys {', '.join(map(str, found))}"
    return str(found) if isinstance(found, int | float) else f"a {type(found).__name__}"


def row_synthetic(
    problem: Problem[Any], x: Tensor, y: Tensor, where: str
) -> RowSynthetic:  # x: (n, ...); y: (n,) or (n, k)
    """Rows and labels of any order as a group-major set of `problem`. Raises ArtifactError where they do not fit it, and
    NotSupported where its batches are more than rows."""
    real = problem.data.take(problem.data.ids()[:1])
    if not isinstance(real, Rows):
        raise NotSupported(f"a row of {problem.name} is more than a tensor with a label: it has importers of its own")
    if x.shape[1:] != real.x.shape[1:]:
        theirs, ours = (" x ".join(map(str, shape[1:])) or "single numbers" for shape in (x.shape, real.x.shape))
        raise ArtifactError(
            f"the rows in {where} are {theirs} and those of {problem.name} are {ours}: load the problem to match"
        )
    if not bool(x.isfinite().all()):
        raise ArtifactError(f"{where} holds NaN or infinity: it cannot be trained on")
    order, counts, labels = by_class(problem, y, len(x), where)
    return RowSynthetic(counts, x[order], labels)


def by_class(
    problem: Problem[Any], y: Tensor, rows: int, where: str
) -> tuple[Tensor, dict[int, int], kinds.Labels | None]:  # y: (n,) or (n, k)
    """The order that makes rows group-major (n,), how many each class has, and, where `y` is (n, k), the labels in that order:
    probabilities where rows are, and else their softmax. Raises ArtifactError for labels that are not one a row, are of no class
    of `problem`, or are no numbers that a label can be."""
    k = problem.task.targets(problem.data.take(problem.data.ids()[:1])).shape[1]
    if y.ndim not in (1, 2):
        raise ArtifactError(
            f"the labels in {where} are of shape {tuple(y.shape)}: expected (n,) class numbers or (n, {k})"
        )
    if len(y) != rows or not rows:
        raise ArtifactError(
            f"{where} holds {rows} rows and {len(y)} labels: there is one label a row, and a row at least"
        )
    if y.ndim == 2 and y.shape[1] != k:
        raise ArtifactError(f"the labels in {where} are of {y.shape[1]} classes and {problem.name} has {k}")
    if not bool(y.isfinite().all()):
        raise ArtifactError(f"the labels in {where} hold NaN or infinity: a row has a class number, or {k} numbers")
    if y.ndim == 1 and bool((fractions := y.double() % 1 != 0).any()):
        raise ArtifactError(
            f"the labels in {where} hold {y[fractions][0]:g}: a class is a whole number, from 0 to {k - 1}"
        )
    soft = None if y.ndim == 1 else y.float() if probabilities(y) else y.float().softmax(1)
    classes = (y if soft is None else soft.argmax(1)).long()
    if unknown := sorted(set(classes.tolist()) - set(problem.data.groups)):
        raise ArtifactError(f"{where} has labels {unknown} that no training row of {problem.name} has")
    order = classes.argsort(stable=True)
    counts = {g: n for g in problem.data.groups if (n := int((classes == g).sum()))}
    return order, counts, None if soft is None else kinds.probabilities(soft[order])


def probabilities(y: Tensor) -> bool:  # (n, k)
    """Whether each row is at least 0 and sums to 1."""
    y = y.double()
    return bool((y >= 0).all()) and torch.allclose(y.sum(1), torch.ones(len(y), dtype=y.dtype), atol=1e-4)
