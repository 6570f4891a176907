"""A distilled set as folders of image files: what SRe2L, RDED and our own PNG export write."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from ddcore.errors import ArtifactError, NotSupported
from ddcore.importers import probabilities, row_synthetic
from ddcore.packing import class_folders
from ddcore.problem import Problem
from ddcore.rows import Rows, RowSynthetic

from .data import to_tensor
from .files import image_files, to_array
from .preprocess import whiten

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["from_png"]


def from_png(path: Path, problem: Problem[Rows]) -> RowSynthetic:
    """The images in `path/CLASS/*`, brought to the problem's size and preprocessed as its own; probabilities from
    `path/labels.csv`, where our export left them, and else the folder's class as a hard label.

    Folders are classes by their name where all are names of classes, and otherwise by their place in the sorted list
    (SRe2L's `new000`, RDED's `00000`), of which there must be one a class. Raises ArtifactError for anything else.
    """
    if not path.is_dir():
        raise ArtifactError(f"{path} is no folder: expected a folder for each class, with its images")
    folders, names = class_folders(path), list(problem.class_names)
    if set(folders) <= set(names):
        labels = {folder: names.index(folder) for folder in folders}
    elif len(folders) == len(names):
        labels = {folder: label for label, folder in enumerate(folders)}
    else:
        raise ArtifactError(
            f"{path} has {len(folders)} folders that are not all names of classes, and {problem.name} has {len(names)} "
            "classes: expected a folder for each class, by name or in the order of the classes"
        )
    files = {file: label for folder, label in labels.items() for file in image_files(path / folder)}
    if not files:
        raise ArtifactError(f"no image in the folders of {path}: expected PNG or JPEG files in a folder for each class")
    x = torch.cat([_read(file, problem) for file in files])
    table = path / "labels.csv"
    y = _probabilities(table, [file.relative_to(path).as_posix() for file in files]) if table.is_file() else None
    return row_synthetic(problem, x, torch.tensor(list(files.values())) if y is None else y, str(path))


def _read(file: Path, problem: Problem[Rows]) -> Tensor:  # (1, c, h, w)
    shape = problem.data.take(problem.data.ids()[:1]).x.shape
    if len(shape) != 4 or shape[2] != shape[3]:
        raise NotSupported(f"{problem.name} is not of square images: its sets are not image folders")
    try:
        with Image.open(file) as image:
            pixels = to_array(image, shape[2], shape[1])
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ArtifactError(f"{file} is no image that can be read: {error}") from error
    done = problem.preprocessing
    x = (to_tensor(np.asarray(pixels)[None]) - done.tensors["mean"]) / done.tensors["std"]
    return whiten(x, done) if "zca" in done.tensors else x


def _probabilities(table: Path, files: list[str]) -> Tensor:  # (n, k)
    try:
        with table.open(newline="", encoding="utf-8") as text:
            rows = {row[0]: row[1:] for row in list(csv.reader(text))[1:] if row}
        if missing := [file for file in files if file not in rows]:
            raise ArtifactError(f"{table} has no line for {missing[0]}: expected one for each of {len(files)} images")
        y = torch.tensor([[float(v) for v in rows[file]] for file in files])
    except (ValueError, csv.Error) as error:
        raise ArtifactError(f"{table}: {error}; expected a file and a probability for each class in a line") from error
    if not probabilities(y):
        raise ArtifactError(f"{table}: expected probabilities, at least 0 and with a sum of 1 in each line")
    return y
