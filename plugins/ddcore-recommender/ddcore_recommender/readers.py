"""Files of interactions: CSV, Parquet, RecBole's `.inter`, scipy's CSR and plain arrays as `.npz`. Pickled files are not read."""

from __future__ import annotations

import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import load_npz

from ddcore.errors import DataError, DDCoreError, NotSupported, OptionError

from .table import Table, named

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Columns", "read_file", "read_frame"]

SPLIT_WORDS = {"train": 0, "0": 0, "val": 1, "valid": 1, "validation": 1, "1": 1, "test": 2, "2": 2}
BETWEEN = (";", "\t", "::", "|", ",")  # what may stand between columns
KINDS = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".inter", ".npz")

BROKEN: tuple[type[Exception], ...] = (OSError, ValueError, EOFError, LookupError, TypeError, RuntimeError)
BROKEN += (SyntaxError, tokenize.TokenError, OverflowError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error)
"""What pandas, NumPy and zipfile raise for files that were cut short or damaged."""


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
    finite numbers, times that cannot be read, split words that are not train, val and test, and lines longer than the header;
    OptionError for fields that are read as something else already.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(
            f"{path.name} is none of {', '.join(KINDS)}: convert it to CSV with {', '.join(_wanted(columns))}"
        )
    if sep is not None and kind in (".npz", ".parquet"):
        raise OptionError(f"separator has no meaning for {path.name}: nothing stands between its columns; leave it out")
    try:
        if kind == ".npz":
            frame = _arrays(path)
        else:
            frame = _parquet(path) if kind == ".parquet" else _text(path, kind, columns, names, sep)
    except DDCoreError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8: convert it, for instance with `iconv -f latin1 -t utf8`") from error
    except BROKEN as error:
        raise DataError(f"{path} cannot be read as {kind}: {error}") from error
    return read_frame(frame, columns, path.name)


def _wanted(columns: Columns) -> list[str]:
    return [columns.user or "user_id", columns.item or "item_id"]


def _text(path: Path, kind: str, columns: Columns, names: Sequence[str], sep: str | None) -> pd.DataFrame:
    """Weights and times as numbers where they are some, all else as text."""
    between = ("\t" if kind in (".inter", ".tsv") else ",") if sep is None else sep.replace(r"\t", "\t")
    how: dict[str, Any] = {"sep": between, "engine": "c", "encoding": "utf-8"}
    if len(between) > 1:
        how |= {"sep": re.escape(between), "engine": "python"}
    if names:
        how |= {"header": None, "names": list(names)}
    header = pd.read_csv(path, nrows=0, **how).columns
    plain = [str(c).partition(":")[0] if kind == ".inter" else str(c) for c in header]  # user_id:token
    numbers = {_name(plain, part, getattr(columns, part)) for part in ("weight", "time")}
    text = {c: str for c, name in zip(header, plain, strict=True) if name not in numbers}
    frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""], **how)
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas makes of the first fields of longer lines
        raise DataError(
            f"{path.name} has lines of {len(plain) + frame.index.nlevels} fields, and {len(plain)} columns "
            f"({', '.join(plain)}): name every column in its first line, and end no line with {between!r}"
        )
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
    _need_ids(user, "user", where)
    _need_ids(item, "item", where)
    return named(
        user.to_numpy(),
        item.to_numpy(),
        None if found["weight"] is None else _weights(found["weight"], where),
        None if found["time"] is None else _times(found["time"], where),
        None if found["split"] is None else _splits(found["split"], where),
        {name: _field(frame, columns, name, where) for name in columns.fields},
    )


def _need_ids(x: pd.Series, part: str, where: str) -> None:
    if x.dtype == object and len(wrong := np.flatnonzero(x.map(pd.api.types.is_list_like))):
        raise DataError(
            f"{where}: {part} {x.iloc[wrong[0]]} in line {wrong[0] + 1} is a list: expected one id, every interaction in a line"
        )
    none = x.isna() | x.isin([value for value in x.unique() if not str(value).strip()])
    if none.any():
        at = int(np.flatnonzero(none)[0])
        raise DataError(f"{where}: line {at + 1} has no {part} id: every interaction names its user and its item")


def _field(frame: pd.DataFrame, columns: Columns, name: str, where: str) -> NDArray[np.int64]:
    """Its values by number; a line that says nothing has a value of its own."""
    for part in ("user", "item", "weight", "split"):
        if name == _name(frame.columns, part, getattr(columns, part)):
            raise OptionError(f"{where}: fields = {name}, which is the {part} already: leave it out of fields")
    values = _named(frame, name, where).astype(str).to_numpy().astype(str)
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _name(there: Iterable[str], part: str, name: str | None) -> str | None:
    """What the part's column is called; None where there is none of the usual names."""
    return name or next((c for c in USUAL[part] if c in there), None)


def _column(frame: pd.DataFrame, part: str, name: str | None, where: str) -> pd.Series | None:
    usual = _name(frame.columns, part, name)
    if usual is None and part in ("user", "item"):
        there = ", ".join(map(str, frame.columns))
        mark = next((m for m in BETWEEN if len(frame.columns) == 1 and m in there), None)
        raise DataError(
            f"{where} has the columns {there}, and none of them is the {part} ({', '.join(USUAL[part][:3])} ...): call it "
            f"{USUAL[part][0]} in the file's first line, or, where a problem is loaded, name it: --set problem.{part}=NAME"
            + ("" if mark is None else f"; is {mark!r} what stands between them? --set problem.separator={mark!r}")
        )
    return None if usual is None else _named(frame, usual, where)


def _named(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    if name not in frame.columns:
        raise DataError(f"{where} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    return frame[name]


def _numbers(x: pd.Series) -> pd.Series:
    """NaN where a value is no number."""
    return pd.to_numeric(x.astype(str) if x.dtype.kind in "mMc" else x, errors="coerce")


def _infinite(x: pd.Series) -> NDArray[np.int64]:
    """Which lines have no finite number."""
    return np.flatnonzero(~np.isfinite(x.to_numpy(np.float64, na_value=np.nan)))


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _weights(x: pd.Series, where: str) -> NDArray[np.float64]:
    found = _numbers(x)
    if len(wrong := _infinite(found)):
        raise DataError(
            f"{where}: {len(wrong)} of {len(x)} weights are no finite number (first: line {wrong[0] + 1}, "
            f"{_shown(x.iloc[wrong[0]])}): drop those lines or give them a weight"
        )
    weights: NDArray[np.float64] = found.to_numpy(np.float64)
    return weights


def _times(x: pd.Series, where: str) -> NDArray[np.int64] | NDArray[np.float64]:
    """Numbers as they are; ISO dates as numbers of one unit."""
    found = _numbers(x)
    dates = bool(found.isna().all())
    if dates:
        found = pd.to_datetime(x, errors="coerce", utc=True, format="ISO8601")
    if len(wrong := np.flatnonzero(found.isna()) if dates else _infinite(found)):
        why = "neither a finite number nor an ISO date" if dates else "no finite number, as others are"
        raise DataError(
            f"{where}: time {_shown(x.iloc[wrong[0]])} in line {wrong[0] + 1} is {why}: expected numbers, or dates like "
            "2024-05-31, in all lines"
        )
    if dates:
        found = found.astype(np.int64)
    times: NDArray[Any] = found.to_numpy(np.int64 if pd.api.types.is_integer_dtype(found) else np.float64)
    return times


def _splits(x: pd.Series, where: str) -> NDArray[np.int64]:
    words = x.astype(str).str.lower().str.removesuffix(".0")
    found = words.map(SPLIT_WORDS)
    if found.isna().any():
        at = int(np.flatnonzero(found.isna())[0])
        raise DataError(f"{where}: split {_shown(x.iloc[at])} in line {at + 1}: expected train, val or test (0, 1, 2)")
    numbers: NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return numbers


def _arrays(path: Path) -> pd.DataFrame:
    """A scipy CSR matrix of users by items, or arrays `user` and `item` with `weight` or `rating`, `time` and `split`; either
    with `user_ids` and `item_ids` where they are known."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "format" in arrays:  # scipy's
        arrays = {name: x for name, x in arrays.items() if name.endswith("_ids")} | _matrix(path)
    ids = {part: arrays.pop(f"{part}_ids", None) for part in ("user", "item")}
    lines = {len(x) for x in arrays.values() if x.ndim == 1}
    if len(lines) != 1 or any(x.ndim != 1 for x in arrays.values()):
        shapes = ", ".join(str(x.shape) for x in arrays.values())
        raise DataError(f"{path.name} holds arrays of shapes {shapes}: expected one number a line")
    for part, x in ids.items():
        if x is not None and part in arrays:
            arrays[part] = x[_places(arrays[part], len(x), part, path.name)]
    return pd.DataFrame(arrays)


def _matrix(path: Path) -> dict[str, NDArray[Any]]:
    rows = load_npz(path)
    if rows.format != "csr":
        raise DataError(
            f"{path.name} is a sparse matrix in {rows.format.upper()} format: save it as CSR, `matrix.tocsr()`"
        )
    rows.check_format(full_check=True)
    user = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return {"user": user, "item": rows.indices, "weight": rows.data}


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
