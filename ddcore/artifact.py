"""Artifact: a distilled data set, in memory and as a folder that any program can read without ddcore."""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from . import __version__
from .card import card
from .errors import ArtifactError, expect
from .parametrizations.base import Selected, Synthetic
from .plugins import installed
from .problem import Preprocessing, Problem
from .storage import replacing, sha256

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FORMAT", "Artifact", "open"]

FORMAT = 1
"""The folder's format. A newer one is refused with the version that reads it."""

MANIFEST, DATA, PREPROCESSING, SPLIT, HISTORY, CARD = (
    "manifest.json",
    "data.safetensors",
    "preprocessing.safetensors",
    "split.safetensors",
    "history.jsonl",
    "README.md",
)
NOTES = ("run.toml", "cost.json", "scores.json")  # how it was run and judged: they may change, and are not hashed


@dataclass(frozen=True)
class Artifact:
    """What `distill` returns and `open` reads."""

    manifest: Mapping[str, Any]
    tensors: Mapping[str, Tensor]  # what `Synthetic.stored` gave
    preprocessing: Preprocessing
    split: Mapping[str, Tensor] | None  # (rows,) int64 ids of train, val and test, where the data brought no split
    history: Sequence[Mapping[str, float]]  # one record an update: step, loss and what else was logged
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # the card and the picture
    notes: Mapping[str, str] = field(default_factory=dict, repr=False)  # run.toml, cost.json, scores.json
    path: Path | None = None  # where it was opened from or saved to

    @classmethod
    def of(
        cls,
        problem: Problem[Any],
        synthetic: Synthetic[Any],
        *,
        method: Mapping[str, Any],
        budget: Mapping[str, Any],
        seed: int,
        history: Sequence[Mapping[str, float]] = (),
    ) -> Self:
        """The artifact of a set that was distilled from `problem`.

        `method` holds name, preset, options and paper; `budget` is the budget as it was given. The picture is drawn and the
        properties are measured where the problem can: what fails of them is a warning, for the set is worth more.
        """
        tensors = {name: _plain(x) for name, x in synthetic.stored().items()}
        done = problem.preprocessing
        preprocessing = replace(done, tensors={name: _plain(x) for name, x in done.tensors.items()})
        split = problem.data.split
        picture, files = _picture(problem, synthetic)
        rows = sum(synthetic.counts.values())
        manifest = {
            "format": FORMAT,
            "problem": {
                "name": problem.name,
                "options": dict(problem.options),
                "fingerprint": problem.fingerprint(),
            },
            "method": dict(method),
            "budget": dict(budget),
            "ratios": {"labelled": rows / len(problem.data.ids()), "all": rows / problem.data.population()},
            "counts": dict(synthetic.counts),
            "class_names": list(problem.class_names),
            "parametrization": {"name": synthetic.parametrization, "config": synthetic.config()},
            "label_kind": synthetic.label_kind,
            "preprocessing": {"name": done.name, "inverse": done.inverse},
            "input_space": problem.input_space,
            "step_sizes": _step_sizes(synthetic),
            "train_steps": synthetic.train_steps,
            "bytes": _bytes({k: x for k, x in tensors.items() if k not in synthetic.provenance}),
            "recipe": problem.recipe.name,
            "picture": picture,
            "properties": _properties(problem, synthetic),
            "seed": seed,
            "versions": {
                "ddcore": __version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "plugin": _plugin(problem.name),
            },
        }
        manifest = json.loads(_json(manifest))
        text = card(manifest, tensors, preprocessing, problem.recipe)
        return cls(
            manifest,
            tensors,
            preprocessing,
            None if split is None else {name: torch.tensor(ids, dtype=torch.int64) for name, ids in split.items()},
            [{"step": step, **record} for step, record in enumerate(history)],
            {**files, CARD: text.encode()},
        )

    def save(
        self,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        run: str | None = None,
        cost: Mapping[str, Any] | None = None,
    ) -> Self:
        """Writes the folder whole, or leaves what was there; the same artifact gives the same bytes.

        `run` is the text of `run.toml` (the resolved options), `cost` becomes `cost.json`. With `overwrite`, an
        artifact that is there is replaced, and files in it that are not of an artifact stay. Raises ArtifactError where
        the folder holds something else, where there is an artifact and no `overwrite`, and where the disk is full.
        """
        path = Path(path)
        kept = _foreign(path, overwrite=overwrite)
        given = {"run.toml": run, "cost.json": None if cost is None else _json(cost)}
        notes = {**self.notes, **{name: text for name, text in given.items() if text is not None}}
        contents = self._contents()
        files = {name: sha256(data) for name, data in contents.items()}
        manifest = {k: v for k, v in self.manifest.items() if k != "checksum"} | {"files": files}
        manifest["checksum"] = _checksum(manifest)
        contents[MANIFEST] = _json(manifest).encode()
        contents |= {name: text.encode() for name, text in notes.items()}
        with replacing(path, keep=kept - contents.keys()) as folder:
            folder.mkdir()
            for name, data in contents.items():
                (folder / name).write_bytes(data)
        return replace(self, manifest=manifest, notes=notes, path=path)

    def _contents(self) -> dict[str, bytes]:
        """The files that are hashed."""
        contents = {**self.files, DATA: save_tensors(dict(self.tensors))}
        if self.preprocessing.tensors:
            contents[PREPROCESSING] = save_tensors(dict(self.preprocessing.tensors))
        if self.split is not None:
            contents[SPLIT] = save_tensors(dict(self.split))
        if self.history:
            contents[HISTORY] = "".join(f"{json.dumps(_strict(record))}\n" for record in self.history).encode()
        return contents

    def synthetic(self, problem: Problem[Any]) -> Synthetic[Any]:
        """The set, ready to train on, on the problem's device.

        Raises ArtifactError where the problem's input space or classes are others than the set was made for.
        """
        name, config = self.manifest["parametrization"]["name"], self.manifest["parametrization"]["config"]
        self._fits(problem)
        kind = installed().find("parametrization", name).load()
        tensors = {key: x.to(problem.device, copy=True) for key, x in self.tensors.items()}
        options = self.manifest["problem"]["options"]
        try:
            made: Synthetic[Any] = kind.reopen(problem, config, tensors).to(problem.device)
            same = not isinstance(made, Selected) or self._holds(made.stored())
        except (IndexError, KeyError, RuntimeError) as error:
            raise ArtifactError(
                f"{self!r} does not fit {problem.name} as it was loaded ({error}): load it with the options "
                f"that the set was made with, {options}"
            ) from error
        if not same:
            raise ArtifactError(
                f"{self!r} holds real rows by number, and {problem.name} has other rows there: load the data "
                f"that it was selected from, with the options {options}"
            )
        return made

    def _holds(self, stored: Mapping[str, Tensor]) -> bool:
        return all(
            x.dtype == self.tensors[k].dtype and torch.equal(x.cpu(), self.tensors[k]) for k, x in stored.items()
        )

    def _fits(self, problem: Problem[Any]) -> None:
        of, names = self.manifest["problem"]["name"], self.manifest["class_names"]
        if self.manifest["input_space"] != problem.input_space:
            raise ArtifactError(
                f"{of} was distilled in the input space {self.manifest['input_space']!r}, and {problem.name} reads "
                f"{problem.input_space!r}: load the problem with the space of the set"
            )
        if names and problem.class_names and len(names) != len(problem.class_names):
            raise ArtifactError(
                f"the set distilled from {of} has {len(names)} classes and {problem.name} has "
                f"{len(problem.class_names)}: load the problem that it was made from"
            )
        foreign = sorted({int(g) for g in self.manifest["counts"]} - set(problem.data.groups))
        if foreign:
            raise ArtifactError(
                f"the set distilled from {of} has rows of class {', '.join(map(str, foreign))}, which "
                f"{problem.name} has not: load the problem that it was made from"
            )

    @property
    def bytes(self) -> int:
        """Bytes of what is trained on: the tensors of `data.safetensors`, labels and decoders included, ids of real rows not."""
        return int(self.manifest["bytes"]["total"])

    @property
    def rows(self) -> int:
        """Decoded rows of all groups."""
        return sum(self.manifest["counts"].values())

    def __repr__(self) -> str:
        where = "" if self.path is None else f", {str(self.path)!r}"
        m = self.manifest
        groups = f"{self.rows} rows in {len(m['counts'])} groups"
        return f"Artifact({m['problem']['name']}, {m['method']['name']}, {groups}, {self.bytes:,} bytes{where})"


def open(path: str | PathLike[str]) -> Artifact:
    """The artifact in a folder; every file is checked against its hash.

    Raises ArtifactError where the folder is none, is incomplete or altered, or of a format that is newer.
    """
    expect("the artifact", path, (str, PathLike), "its folder")
    path = Path(path)
    manifest = _manifest(path)
    contents = {name: _checked(path, name, digest) for name, digest in manifest["files"].items()}
    done = manifest["preprocessing"]
    return Artifact(
        manifest,
        _tensors(path, DATA, contents) or {},
        Preprocessing(done["name"], done["inverse"], _tensors(path, PREPROCESSING, contents) or {}),
        _tensors(path, SPLIT, contents),
        [_floats(json.loads(line)) for line in contents.get(HISTORY, b"").splitlines()],
        {name: data for name, data in contents.items() if name not in (DATA, PREPROCESSING, SPLIT, HISTORY)},
        {name: (path / name).read_text("utf-8", "replace") for name in NOTES if (path / name).is_file()},
        path,
    )


# ---------------------------------------------------------------------------------------------------------------------
# reading


def _manifest(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file():
        what = "no manifest.json in it" if path.is_dir() else "no such folder"
        raise ArtifactError(f"no distilled set at {path}: {what}. Give the folder that `ddcore distill --out` wrote")
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        format_, checksum = manifest["format"], manifest.get("checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, MANIFEST) from error
    if format_ != FORMAT:
        by = manifest.get("versions", {}).get("ddcore", "a newer one")
        raise ArtifactError(
            f"{path} is of format {format_}, written by ddcore {by}; this one ({__version__}) reads format {FORMAT}: "
            f"pip install 'ddcore>={by}'"
        )
    if checksum != _checksum({k: v for k, v in manifest.items() if k != "checksum"}):
        raise _damaged(path, MANIFEST)
    if any(Path(name).name != name for name in manifest["files"]) or DATA not in manifest["files"]:
        raise _damaged(path, MANIFEST)
    found: dict[str, Any] = manifest
    return found


def _checked(path: Path, name: str, digest: str) -> bytes:
    try:
        data = (path / name).read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{name} cannot be read in {path} ({error.strerror}): copy the whole folder again"
        ) from error
    if sha256(data) == digest:
        return data
    if data.startswith(b"version https://git-lfs"):
        raise ArtifactError(f"{name} in {path} is only a pointer of Git LFS: run `git lfs pull` there")
    raise _damaged(path, name)


def _tensors(path: Path, name: str, contents: Mapping[str, bytes]) -> dict[str, Tensor] | None:
    try:
        return load_tensors(contents[name]) if name in contents else None
    except SafetensorError as error:
        raise _damaged(path, name) from error


def _damaged(path: Path, name: str) -> ArtifactError:
    return ArtifactError(
        f"{name} in {path} is cut short or altered: it is not the file that was saved. "
        "Copy or download the folder again, or distil anew"
    )


# ---------------------------------------------------------------------------------------------------------------------
# writing


def _foreign(path: Path, *, overwrite: bool) -> set[str]:
    """The names in the folder that are not an artifact's; an error where it must not be replaced."""
    if path.exists() and not path.is_dir():
        raise ArtifactError(f"{path} is a file: choose another folder")
    present = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if not present:
        return set()
    if not {MANIFEST, DATA} <= present:
        raise ArtifactError(
            f"{path} holds something else ({', '.join(sorted(present)[:3])}): choose a new or an empty folder"
        )
    if not overwrite:
        raise ArtifactError(f"{path} holds a distilled set already: choose another folder, or say overwrite")
    try:
        listed = set(_manifest(path)["files"])
    except ArtifactError:  # damaged or newer: what it listed is not known
        listed = set()
    return present - listed - {MANIFEST, DATA, PREPROCESSING, SPLIT, HISTORY, CARD, *NOTES}


def _json(value: Any) -> str:
    """Sorted keys, strict JSON."""
    return json.dumps(_strict(value), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _strict(value: Any) -> Any:
    """JSON has no NaN, no infinity and no paths: null, "inf" and the file's own name (folders differ by machine)."""
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value.name if isinstance(value, Path) else value


def _floats(record: Mapping[str, Any]) -> dict[str, float]:
    """A line of the history, as `_strict` wrote it."""
    return {k: math.nan if v is None else float(v) if isinstance(v, str) else v for k, v in record.items()}


def _checksum(manifest: Mapping[str, Any]) -> str:
    return sha256(_json(manifest).encode())


def _plain(x: Tensor) -> Tensor:
    return x.detach().cpu().clone(memory_format=torch.contiguous_format)


def _step_sizes(synthetic: Synthetic[Any]) -> list[float] | None:
    """The learned step sizes in the order of training; None where they were not learned."""
    if not (synthetic.log_step_size.requires_grad or synthetic.log_step_size.ndim):
        return None
    return [synthetic.step_size(t).item() for t in range(synthetic.log_step_size.numel())]


def _bytes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Bytes by part and in total; a part is a field, or what stands before the first dot (`teacher.net.weight`)."""
    parts = {"x": "data", "y": "labels", "values": "labels", "log_step_size": "step sizes"}
    found: dict[str, int] = {}
    for name, x in tensors.items():
        part = name.partition(".")[0]
        part = parts.get(part, part)
        found[part] = found.get(part, 0) + x.numel() * x.element_size()
    return {**found, "total": sum(found.values())}


def _picture(problem: Problem[Any], synthetic: Synthetic[Any]) -> tuple[str | None, dict[str, bytes]]:
    """The picture's name and the files that the problem drew."""
    if problem.render is None:
        return None, {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            drawn = problem.render(synthetic, Path(folder))
        except Exception as error:  # the boundary to a plugin's code: told, and the set is kept
            warnings.warn(f"{problem.name} could not draw the set: {type(error).__name__}: {error}", stacklevel=3)
            return None, {}
        return drawn.name, {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir()) if file.is_file()}


def _properties(problem: Problem[Any], synthetic: Synthetic[Any]) -> dict[str, float]:
    """What the problem says that the set is like; numbers that are none (NaN) are left out."""
    if problem.properties is None:
        return {}
    try:
        return {name: value for name, value in problem.properties(synthetic).items() if math.isfinite(value)}
    except Exception as error:  # the boundary to a plugin's code: told, and the set is kept
        warnings.warn(f"{problem.name} could not measure the set: {type(error).__name__}: {error}", stacklevel=3)
        return {}


def _plugin(problem: str) -> dict[str, str] | None:
    """The distribution that brought the problem, and its version; None for a problem of the user's own."""
    for plugin in installed().plugins:
        if any(entry.kind == "problem" and entry.name == problem for entry in plugin.entries):
            return {plugin.distribution or plugin.name: plugin.version}
    return None
