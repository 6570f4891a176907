"""Readers: the public on-disk formats, without a download, torchvision or pickle. Images come as uint8 (n, h, w, c)."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Split", "find", "missing", "read_cifar", "read_idx", "read_mnist", "read_svhn"]

Images = NDArray[np.uint8]  # (n, h, w, c)
Classes = NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Split:
    """Images and their classes."""

    x: Images
    y: Classes


def find(folder: Path | None, names: Sequence[str], of: str, source: str) -> Path:
    """The first of `names` that is in the folder; an error that says which file goes where."""
    if folder is None:
        raise missing(of, folder, names[0], source)
    if not folder.is_dir():
        raise DataError(f"{of}: {folder} is not a folder; --data takes the folder that holds {names[0]}")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise missing(of, folder, names[0], source)


def missing(of: str, folder: Path | None, name: str, source: str) -> DataError:
    """What was looked for, where to get it, and where to put it."""
    if folder is None:
        found = f"{of} is not part of the install, and nothing is downloaded: put {name} into a folder"
    else:
        found = f"{of}: no {name} in {folder}: put it there"
    return DataError(f"{found}, and give that folder as --data. It comes from {source}")


def _split(x: NDArray, y: NDArray, classes: int, file: Path) -> Split:  # (n, h, w, c), (n,)
    """The two together, where they fit each other."""
    y = y.astype(np.int64).ravel()
    if x.dtype != np.uint8 or x.ndim != 4 or len(x) != len(y) or not len(y):
        raise DataError(
            f"{file}: expected x (n, h, w[, c]) uint8 and y (n,); got {x.dtype} {x.shape} for {len(y)} classes"
        )
    if y.min() < 0 or y.max() >= classes:
        raise DataError(f"{file}: classes are 0 .. {classes - 1}, and the file has {y.min()} .. {y.max()}")
    return Split(np.ascontiguousarray(x), y)


def _npz_splits(folder: Path, classes: int, of: str, source: str) -> tuple[Split, Split]:
    return _npz(find(folder, ["train.npz"], of, source), classes), _npz(find(folder, ["test.npz"], of, source), classes)


def _npz(file: Path, classes: int) -> Split:
    """The arrays `x` (n, h, w[, c]) uint8 and `y` (n,), as numpy.savez writes them."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            x, y = stored["x"], stored["y"]
    except Exception as error:  # what a damaged file makes of zip, zlib and numpy
        raise DataError(
            f"{file}: expected the arrays x (n, h, w[, c]) uint8 and y (n,) in an npz: {error or type(error).__name__}"
        ) from error
    return _split(x if x.ndim == 4 else x[..., None], y, classes, file)


# ---------------------------------------------------------------------------------------------------------------------
# MNIST, Fashion-MNIST


def read_idx(file: Path) -> NDArray[np.uint8]:
    """An idx file, gzipped or not: magic number, sizes, then bytes."""
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be unpacked ({error}): download it again") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"{file} is not an idx file of bytes: download it again")
    sizes = [int(n) for n in np.frombuffer(raw, ">u4", raw[3], offset=4)]
    start = 4 + 4 * len(sizes)
    if len(raw) - start != prod(sizes):
        raise DataError(
            f"{file} has {len(raw) - start} bytes of data and its header says {prod(sizes)}: download it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(sizes)


def read_mnist(folder: Path | None, name: str, source: str) -> tuple[Split, Split]:
    """Train and test: four idx files, in the folder or in NAME/raw as torchvision leaves them; or two npz files."""
    if folder is not None and (folder / "train.npz").is_file():
        return _npz_splits(folder, 10, name, source)
    inside = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}[name]
    splits = []
    for prefix in ("train", "t10k"):
        files = []
        for kind in ("images-idx3", "labels-idx1"):
            stem = f"{prefix}-{kind}-ubyte"
            places = [f"{at}{stem}{end}" for at in ("", "raw/", f"{inside}/") for end in (".gz", "")]
            files.append(find(folder, places, name, source))
        splits.append(_split(read_idx(files[0])[..., None], read_idx(files[1]), 10, files[0]))
    return splits[0], splits[1]


# ---------------------------------------------------------------------------------------------------------------------
# CIFAR, SVHN


def read_cifar(folder: Path | None, classes: int, source: str) -> tuple[Split, Split]:
    """Train and test of CIFAR-10 or -100: the binary version, or train.npz and test.npz (x uint8 NHWC, y)."""
    name = f"cifar{classes}"
    if folder is not None and (folder / "train.npz").is_file():
        return _npz_splits(folder, classes, name, source)
    if classes == 10:
        inside, train, test = "cifar-10-batches-bin", [f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin"
        pickled = ("cifar-10-batches-py", "data_batch_1")
    else:
        inside, train, test = "cifar-100-binary", ["train.bin"], "test.bin"
        pickled = ("cifar-100-python", "meta")
    base = folder / inside if folder is not None and (folder / inside).is_dir() else folder
    if base is not None and not (base / test).is_file() and any((base / p).exists() for p in pickled):
        raise DataError(
            f"{base} holds the Python version of CIFAR, which is pickled and can run code when it is read: get the "
            f"binary version ({inside}) from {source}, and give its folder as --data"
        )
    parts = [_cifar_records(find(base, [file], name, source), classes) for file in train]
    whole = Split(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
    return whole, _cifar_records(find(base, [test], name, source), classes)


def _cifar_records(file: Path, classes: int) -> Split:
    labels = 1 if classes == 10 else 2  # CIFAR-100 has the coarse label first
    raw = np.fromfile(file, np.uint8)
    if not len(raw) or len(raw) % (labels + 3072):
        raise DataError(f"{file} has {len(raw)} bytes, not a multiple of {labels + 3072}: download it again")
    rows = raw.reshape(-1, labels + 3072)
    x = rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return _split(x, rows[:, labels - 1], classes, file)


def read_svhn(folder: Path | None, source: str) -> tuple[Split, Split]:
    """Train and test: train_32x32.mat and test_32x32.mat, or two npz files; the digit 0 is stored as 10."""
    from scipy.io import loadmat

    if folder is not None and (folder / "train.npz").is_file():
        return _npz_splits(folder, 10, "svhn", source)
    splits = []
    for name in ("train", "test"):
        file = find(folder, [f"{name}_32x32.mat"], "svhn", source)
        try:
            stored = loadmat(file, variable_names=["X", "y"])
            x, y = stored["X"].transpose(3, 0, 1, 2), stored["y"] % 10
        except Exception as error:  # what a damaged file makes of scipy
            raise DataError(f"{file} is not SVHN's MATLAB file of X and y ({error}): download it again") from error
        splits.append(_split(x, y, 10, file))
    return splits[0], splits[1]
