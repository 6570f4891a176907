"""Exporters: an artifact in the form that other programs load.

An exporter (entry kind `exporter`) is a function `(artifact, problem or None, out) -> the path written`. It raises
ArtifactError where `out` is there already, and NotSupported for a set that the form cannot hold.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .errors import ArtifactError, NotSupported
from .plugins import installed
from .problem import Problem, tensors
from .storage import replacing, write_bytes

if TYPE_CHECKING:
    from os import PathLike

    from torch import Tensor

    from .artifact import Artifact

__all__ = ["Exporter", "describe", "export", "exporter", "to_hf", "to_pt"]

Exporter = Callable[["Artifact", Problem[Any] | None, Path], Path]


def export(artifact: Artifact, to: str, out: str | PathLike[str], problem: Problem[Any] | None = None) -> Path:
    """Writes the artifact to `out` in the form `to` ("pt", "hf", "png" ...), and says where it is.

    A bare name is looked up in the modality of the artifact's problem first, then in the core. `problem` is needed
    where rows must be decoded. Raises UnknownName, ArtifactError and NotSupported.
    """
    write, out = exporter(artifact, to), Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ArtifactError(f"{out} is there already: choose another place, or remove it first")
    return write(artifact, problem, out)


def exporter(artifact: Artifact, to: str) -> Exporter:
    """What writes the form `to`. Raises UnknownName."""
    modality = artifact.manifest["problem"]["name"].partition("/")[0]
    found: Exporter = installed().find("exporter", to, modality).load()
    return found


def to_pt(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """One file with the stored tensors by name: `torch.load(out, weights_only=True)` gives the dict."""
    buffer = io.BytesIO()  # a file's own name would enter its bytes
    torch.save(dict(artifact.tensors), buffer)
    write_bytes(out, buffer.getvalue())
    return out


def to_hf(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A folder for `datasets.load_from_disk`: a row each, features by their shape, class numbers with their names.

    Labels of every epoch become one (epochs, classes) array a row; learned step sizes go into the description. Raises
    NotSupported for labels by a stored teacher, which are not of a row.
    """
    try:
        from datasets import Dataset, DatasetInfo, Features
    except ImportError as error:
        raise NotSupported("export to Hugging Face needs its library: pip install 'ddcore[hf]'") from error

    names = artifact.manifest["class_names"] if artifact.manifest["label_kind"] == "ids" else []
    columns = {name: x.float() if x.dtype == torch.bfloat16 else x for name, x in _columns(artifact, problem).items()}
    features = Features({name: _feature(x, names if name == "y" else []) for name, x in columns.items()})
    info = DatasetInfo(
        description=describe(artifact), citation=artifact.manifest["method"].get("paper") or "", features=features
    )
    table = Dataset.from_dict({name: x.numpy() for name, x in columns.items()}, features=features, info=info)
    with replacing(out) as folder:
        table.save_to_disk(folder)
    return out


def _columns(artifact: Artifact, problem: Problem[Any] | None) -> Mapping[str, Tensor]:
    """The tensors that have a value for every row, (rows, ...)."""
    kind, rows = artifact.manifest["label_kind"], artifact.rows
    if kind == "teacher":
        raise NotSupported("a stored teacher labels views, not rows, and a table has no place for it: export it to pt")
    found = {name: x for name, x in artifact.tensors.items() if name != "log_step_size"}
    if kind == "per-epoch":
        found["y"] = found["y"].transpose(0, 1)
    if any(x.ndim == 0 or len(x) != rows for x in found.values()):
        if problem is None:
            name = artifact.manifest["parametrization"]["name"]
            raise ArtifactError(
                f"the set is stored as {name}, not as rows: give the problem too, so that it can be decoded"
            )
        with torch.no_grad():
            found = {name: x.cpu() for name, x in tensors(artifact.synthetic(problem).batch())}
        if any(x.ndim == 0 or len(x) != rows for x in found.values()):
            raise NotSupported(
                f"a set of {artifact.manifest['problem']['name']} is not a table of rows: export it to pt"
            )
    return found


def _feature(x: Tensor, names: list[str]) -> Any:  # x: (rows, ...)
    import datasets

    kind = "bool" if x.dtype == torch.bool else str(x.dtype).removeprefix("torch.")
    if x.ndim == 1:
        return datasets.ClassLabel(names=names) if names else datasets.Value(kind)
    if x.ndim == 2:
        return datasets.Sequence(datasets.Value(kind), length=x.shape[1])
    if x.ndim > 6:
        raise NotSupported(
            f"a Hugging Face table holds rows of up to 5 dimensions, and these have {x.ndim - 1}: use pt"
        )
    array = (datasets.Array2D, datasets.Array3D, datasets.Array4D, datasets.Array5D)[x.ndim - 3]
    return array(shape=tuple(x.shape[1:]), dtype=kind)


def describe(artifact: Artifact) -> str:
    """What the set is, how its rows become raw ones, and its learned step sizes, in sentences."""
    m = artifact.manifest
    steps = m["step_sizes"]
    sentences = [
        f"{m['problem']['name']}, distilled by {m['method']['name']} (ddcore {m['versions']['ddcore']}).",
        f"Preprocessing: {m['preprocessing']['name']}; raw = {m['preprocessing']['inverse']}.",
        "" if steps is None else f"Learned step sizes: {', '.join(f'{s:.9g}' for s in steps)}.",
    ]
    return " ".join(s for s in sentences if s)
