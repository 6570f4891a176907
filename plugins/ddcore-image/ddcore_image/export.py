"""PNG files, a folder for each class: what image viewers, annotators and other training code read."""

from __future__ import annotations

import csv
import re
import unicodedata
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from ddcore.errors import ArtifactError, NotSupported
from ddcore.storage import replacing

from .show import pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

__all__ = ["to_png"]

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows


def to_png(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Writes `out/CLASS/0001.png` ..., in the order of the set; the folder is written whole or not at all.

    Preprocessing is undone, and values are clamped to what 8 bits hold. Folders sort as the classes do, so that
    programs that number classes by their sorted folders (torchvision's ImageFolder) agree with the problem: where the
    names alone would not, or two are the same, each has its number in front. A set with probabilities also gets
    `labels.csv`: a line for each file, a column for each class.

    `problem` is needed where a set is stored as codes. Raises ArtifactError without it, and NotSupported for a set that
    is not of images, and for labels that are neither class numbers nor probabilities.
    """
    kind = artifact.manifest["label_kind"]
    if kind not in ("ids", "probabilities"):
        raise NotSupported(
            f"PNG folders hold a class, or probabilities of the classes, for each image, and the labels here are "
            f"{kind!r}: export the set to pt"
        )
    counts, x, y = _decoded(artifact, problem)
    soft = y.tolist() if kind == "probabilities" and y is not None else None
    names = _folders(artifact.manifest["class_names"], max(*counts, -1 if soft is None else len(soft[0]) - 1) + 1)
    files = [f"{names[g]}/{i + 1:04}.png" for g, n in counts.items() for i in range(n)]
    images = chain.from_iterable(pictures(part, artifact.preprocessing) for part in x.split(1024))
    with replacing(out) as folder:
        for file, image in zip(files, images, strict=True):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            image.save(folder / file)
        if soft is not None:
            with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
                write = csv.writer(table, lineterminator="\n").writerow
                write(["file", *names[: len(soft[0])]])
                for file, probabilities in zip(files, soft, strict=True):
                    write([file, *(f"{p:.9g}" for p in probabilities)])
    return out


def _decoded(artifact: Artifact, problem: Problem[Any] | None) -> tuple[Mapping[int, int], Tensor, Tensor | None]:
    """Rows of each class in the order of the set, the images (n, c, h, w) and the labels."""
    stored = artifact.manifest["parametrization"]
    counts, x = stored["config"].get("counts"), artifact.tensors.get("x")
    if counts is not None and x is not None and x.ndim and len(x) == artifact.rows:
        return dict(counts), x, artifact.tensors.get("y")  # the manifest's own counts are sorted as text
    if problem is None:
        raise ArtifactError(
            f"the set is stored as {stored['name']}, not as images: give the problem too, so that it can be decoded"
        )
    synthetic = artifact.synthetic(problem)
    with torch.no_grad():
        batch = synthetic.batch()
    return synthetic.counts, batch.x, batch.y


def _folders(class_names: Sequence[str], least: int) -> list[str]:
    """A folder name for each class, `least` of them or more, that every file system takes."""
    n = max(len(class_names), least)
    numbers = [f"{g:0{len(str(n - 1))}}" for g in range(n)]
    names = [_safe(class_names[g]) if g < len(class_names) else "" for g in range(n)]
    names = [name or number for name, number in zip(names, numbers, strict=True)]
    unlike = len({name.casefold() for name in names}) == n and not any(RESERVED.fullmatch(name) for name in names)
    if unlike and names == sorted(names):
        return names
    return [f"{number}-{name}" for number, name in zip(numbers, names, strict=True)]


def _safe(name: str) -> str:
    """The name without what file systems forbid, and not longer than they allow."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", unicodedata.normalize("NFC", name))[:60].strip(" .")
