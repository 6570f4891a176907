"""Files of interactions: CSV, Parquet, RecBole's `.inter`, scipy's CSR and plain arrays as `.npz`. Pickled files are not read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ddcore.errors import DataError, DDCoreError, NotSupported

from .table import Table, named

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Columns", "read_file", "read_frame"]

SPLIT_WORDS = {"train": 0, "0": 0, "val": 1, "valid": 1, "validation": 1, "1": 1, "test": 2, "2": 2}
KINDS = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".inter", ".npz")


@dataclass(frozen=True)
class Columns:
    """What the columns are called. A name that is None is one of the usual ones, where the file has it."""

    user: str | None = None
    item: str | None = None
    weight: str | None = None
    time: str | None = None
    split: str | None = None
    fields: Sequence[str] = ()  # other categorical columns


USUAL = {
    "user": ("user_id", "user", "userId", "userID", "UserID", "reviewerID"),
    "item": ("item_id", "item", "itemId", "itemID", "movieId", "artistID", "parent_asin", "asin"),
    "weight": ("weight", "rating", "score", "overall", "label"),
    "time": ("datetime", "timestamp", "time", "unixReviewTime", "date"),
    "split": ("split",),
}


def read_file(path: Path, columns: Columns = Columns(), *, names: Sequence[str] = (), sep: str | None = None) -> Table:
    """The table in a file, by its suffix. `names` are the columns of a file without a header, `sep` what stands between them.

    Ids are the text that is in the file. Raises DataError for columns that are missing, ids that are empty, weights that are no
    finite numbers, times that cannot be read and split words that are not train, val and test.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(
            f"{path.name} is none of {', '.join(KINDS)}: convert it to CSV with {', '.join(_wanted(columns))}"
        )
    try:
        if kind == ".npz":
            return _arrays(path, columns)
        frame = _parquet(path) if kind == ".parquet" else _text(path, kind, columns, names, sep)
    except DDCoreError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as {kind}: {error}") from error
    return read_frame(frame, columns, path.name)


def _wanted(columns: Columns) -> list[str]:
    return [columns.user or "user_id", columns.item or "item_id"]


def _text(path: Path, kind: str, columns: Columns, names: Sequence[str], sep: str | None) -> pd.DataFrame:
    """Weights and times as numbers where they are some, all else as text."""
    between = sep or ("\t" if kind in (".inter", ".tsv") else ",")
    engine: Any = "python" if len(between) > 1 else "c"
    how: dict[str, Any] = {"sep": between, "engine": engine, "encoding": "utf-8"}
    if names:
        how |= {"header": None, "names": list(names)}
    header = pd.read_csv(path, nrows=0, **how).columns
    plain = [str(c).partition(":")[0] if kind == ".inter" else str(c) for c in header]  # user_id:token
    numbers = {_name(plain, part, getattr(columns, part)) for part in ("weight", "time")}
    text = {c: str for c, name in zip(header, plain, strict=True) if name not in numbers}
    frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], **how)
    frame.columns = plain
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise NotSupported("Parquet needs its library: pip install 'ddcore-recommender[parquet]'") from error


def read_frame(frame: pd.DataFrame, columns: Columns = Columns(), where: str = "the table") -> Table:
    """The table in a data frame; as `read_file`."""
    if not len(frame):
        raise DataError(f"{where} has no lines")
    found = {part: _column(frame, part, getattr(columns, part), where) for part in USUAL}
    user, item = found["user"], found["item"]
    assert user is not None, "needed columns are there or raise"
    assert item is not None
    for name, x in (("user", user), ("item", item)):
        if x.isna().any():
            at = int(np.flatnonzero(x.isna())[0])
            raise DataError(f"{where}: line {at + 1} has no {name} id: every interaction names its user and its item")
    fields = {}
    for name in columns.fields:
        values = _named(frame, name, where).astype(str)
        fields[name] = np.unique(values.to_numpy().astype(str), return_inverse=True)[1].astype(np.int64)
    return named(
        user.to_numpy(),
        item.to_numpy(),
        None if found["weight"] is None else _numbers(found["weight"], where),
        None if found["time"] is None else _times(found["time"], where),
        None if found["split"] is None else _splits(found["split"], where),
        fields,
    )


def _name(there: Iterable[str], part: str, name: str | None) -> str | None:
    """What the part's column is called; None where there is none of the usual names."""
    return name or next((c for c in USUAL[part] if c in there), None)


def _column(frame: pd.DataFrame, part: str, name: str | None, where: str) -> pd.Series | None:
    usual = _name(frame.columns, part, name)
    if usual is None and part in ("user", "item"):
        raise DataError(
            f"{where} has the columns {', '.join(map(str, frame.columns))}, and none of them is the {part} "
            f"({', '.join(USUAL[part][:3])} ...): call it {USUAL[part][0]} in the file, or, where a problem is loaded, name it: "
            f"--set problem.{part}=NAME"
        )
    return None if usual is None else _named(frame, usual, where)


def _named(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    if name not in frame.columns:
        raise DataError(f"{where} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    return frame[name]


def _numbers(x: pd.Series, where: str) -> NDArray[np.float64]:
    found = pd.to_numeric(x, errors="coerce")
    wrong = np.flatnonzero(found.isna() & x.notna())
    if len(wrong):
        raise DataError(f"{where}: weight {x.iloc[wrong[0]]!r} in line {wrong[0] + 1} is no number")
    numbers: NDArray[np.float64] = found.to_numpy(np.float64)
    return numbers


def _times(x: pd.Series, where: str) -> NDArray[np.int64] | NDArray[np.float64]:
    """Numbers as they are; anything else as ISO dates, in nanoseconds."""
    numeric = pd.api.types.is_numeric_dtype(x)
    found = x if numeric else pd.to_datetime(x, errors="coerce", utc=True, format="ISO8601")
    wrong = np.flatnonzero(~np.isfinite(x.to_numpy(np.float64, na_value=np.nan)) if numeric else found.isna())
    if len(wrong):
        at = int(wrong[0])
        raise DataError(f"{where}: time {x.iloc[at]!r} in line {at + 1} is neither a finite number nor an ISO date")
    if not numeric:
        found = found.dt.as_unit("ns").astype(np.int64)
    times: NDArray[Any] = found.to_numpy(np.int64 if pd.api.types.is_integer_dtype(found) else np.float64)
    return times


def _splits(x: pd.Series, where: str) -> NDArray[np.int64]:
    words = x.astype(str).str.lower().str.removesuffix(".0")
    found = words.map(SPLIT_WORDS)
    if found.isna().any():
        at = int(np.flatnonzero(found.isna())[0])
        raise DataError(f"{where}: split {x.iloc[at]!r} in line {at + 1}: expected train, val or test (0, 1, 2)")
    numbers: NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return numbers


def _arrays(path: Path, columns: Columns) -> Table:
    """A scipy CSR matrix of users by items, or arrays `user` and `item` with `weight` or `rating`, `time`, `split`, `user_ids`
    and `item_ids` where they are known."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "indptr" in arrays and "indices" in arrays:
        if "csr" not in str(arrays.get("format", b"csr")):
            raise DataError(f"{path.name} is a sparse matrix of another format: save it as CSR")
        user = np.repeat(np.arange(len(arrays["indptr"]) - 1), np.diff(arrays["indptr"]))
        frame = pd.DataFrame({"user": user, "item": arrays["indices"], "weight": arrays["data"]})
        return read_frame(frame, Columns(), path.name)
    ids = {part: arrays.pop(f"{part}_ids", None) for part in ("user", "item")}
    lines = {len(x) for x in arrays.values() if x.ndim == 1}
    if len(lines) != 1 or any(x.ndim != 1 for x in arrays.values()):
        shapes = ", ".join(str(x.shape) for x in arrays.values())
        raise DataError(f"{path.name} holds arrays of shapes {shapes}: expected one number a line")
    for part, x in ids.items():
        if x is not None and part in arrays:
            arrays[part] = x[_places(arrays[part], len(x), part, path.name)]
    return read_frame(pd.DataFrame(arrays), columns, path.name)


def _places(numbers: NDArray[Any], n: int, part: str, where: str) -> NDArray[np.int64]:
    """The numbers as places among n ids."""
    whole = numbers.dtype.kind in "iu"
    wrong = np.flatnonzero((numbers < 0) | (numbers >= n) if whole else np.ones(len(numbers), bool))
    if len(wrong):
        raise DataError(
            f"{where}: {part} {numbers[wrong[0]]!s} in line {wrong[0] + 1} is none of its {n} {part}_ids: expected whole "
            f"numbers from 0 to {n - 1}"
        )
    return numbers.astype(np.int64)
