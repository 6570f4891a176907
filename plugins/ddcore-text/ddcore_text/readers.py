"""Texts from tables: CSV, TSV, JSON lines and Parquet, compressed or not."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ddcore.errors import DataError, OptionError, choices

from .corpus import Corpus, Text, check_said, corpus

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LABELS", "SPLITS", "Columns", "read_tables", "table_corpus"]

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "validation_matched", "dev_matched"),
    "test": ("test", "testing"),
}
TEXTS = ("text", "sentence", "review", "content", "question")
PAIRS = (
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("text", "pair"),  # our own export
)
LABELS = ("label", "labels", "class", "coarse_label", "gold_label", "is_duplicate", "category", "target")
KINDS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
UNLABELLED = (-1, "-1", "-")
PART = re.compile(r"-\d+-of-(\d+)")  # train-00000-of-00002


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; None: the usual names are tried."""

    text: str | None = None
    pair: str | None = None  # the second text of a pair
    label: str | None = None
    split: str | None = None


def table_corpus(
    tables: Mapping[str, Mapping[str, Sequence[Any]]],  # by split: by column, the values
    columns: Columns,
    class_names: Sequence[str] = (),
    *,
    source: str,
    rows: int | None = None,
) -> Corpus:
    """A corpus of tables. Rows without a label are left out: "-", and -1 where the classes have names or where a split holds
    nothing else (elsewhere it is a class). Where the test rows have no labels, the validation rows are scored in their place (as
    is usual for GLUE) and a val split is drawn from train.

    Raises OptionError for columns that are not there, DataError for labels and texts that cannot be used.
    """
    texts, label = _columns(columns, list(tables.get("train") or next(iter(tables.values()))), source)
    parts: dict[str, tuple[list[Text], list[Any]]] = {}
    for split, table in tables.items():
        if split == "test" and label not in table:
            continue
        for name in (*texts, label):
            if name not in table:
                raise DataError(f"{source}: the {split} table has no column {name!r}, which that of train has")
        marks = UNLABELLED if class_names or all(_plain(v) in UNLABELLED for v in table[label]) else ("-",)
        labelled = [i for i, value in enumerate(table[label]) if _plain(value) not in marks]
        said = [_text([table[name][i] for name in texts]) for i in labelled]
        check_said(said, labelled, split, source)
        if labelled:
            parts[split] = said, [_label(table[label][i], source, split, i) for i in labelled]
    if "train" not in parts:
        raise DataError(f"{source} has the splits {', '.join(tables)} and no labelled train rows")
    if "val" in parts and "test" not in parts:
        parts["test"] = parts.pop("val")
    names, number = _classes([value for _, values in parts.values() for value in values], class_names, source)
    numbered = {split: (said, [number[value] for value in values]) for split, (said, values) in parts.items()}
    return corpus(numbered, names, source=source, rows=rows)


def _columns(asked: Columns, every: Sequence[str], source: str) -> tuple[list[str], str]:
    for name in (asked.text, asked.pair, asked.label):
        if name is not None and name not in every:
            raise OptionError(f"{source} has no column {name!r}.{choices(name, every)}")
    if asked.pair is not None and asked.text is None:
        raise OptionError(f"pair={asked.pair} is the second text of a pair: name the column of the first with text=")
    if asked.text is not None:
        texts = [name for name in (asked.text, asked.pair) if name is not None]
    else:
        pairs = [list(pair) for pair in PAIRS if all(name in every for name in pair)]
        single = [[name] for name in TEXTS if name in every]
        texts = next(iter([*pairs, *single]), [])
    if not texts:
        raise OptionError(
            f"which column of {source} holds the text? It has {', '.join(every)}: --set problem.text=COLUMN"
        )
    label = asked.label or next((name for name in LABELS if name in every), None)
    if label is None:
        raise OptionError(
            f"which column of {source} holds the class? It has {', '.join(every)}: --set problem.label=COLUMN"
        )
    if label in texts:
        raise OptionError(
            f"{source}: the column {label!r} is given as text and as class: name another with text= or label="
        )
    return texts, label


def _plain(value: Any) -> Any:
    """Numbers of any library as Python's own; missing values as None."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return str(value)
    return int(value) if isinstance(value, Integral) or (isinstance(value, float) and value.is_integer()) else value


def _text(parts: Sequence[Any]) -> Text:
    said = ["" if _plain(part) is None else str(part).strip() for part in parts]
    return said[0] if len(said) == 1 else (said[0], said[1])


def _label(value: Any, source: str, split: str, i: int) -> Any:
    value = _plain(value)
    if value is None or value == "":
        raise DataError(f"{source}: row {i} of {split} has no label: fill it in, or mark rows without one with -")
    if not isinstance(value, int | str):
        raise DataError(
            f"{source}: the label of row {i} of {split} is {value!r}: expected class numbers or class names; is that the "
            "column of classes?"
        )
    return value


def _classes(
    values: Sequence[int | str], class_names: Sequence[str], source: str
) -> tuple[list[str], dict[int | str, int]]:
    """Class names, and the number of each value. Without known names, the sorted values are the classes."""
    different = sorted(set(values), key=lambda v: (isinstance(v, str), v))
    if not class_names:
        if len({type(v) for v in different}) > 1:
            raise DataError(
                f"{source}: some labels are numbers and some are names ({different[:5]}): use one of the two"
            )
        return [str(v) for v in different], {v: k for k, v in enumerate(different)}
    names = list(class_names)
    found: dict[int | str, int] = {}
    for value in different:
        at = names.index(value) if value in names else int(value) if str(value).isdigit() else -1
        if not 0 <= at < len(names):
            raise DataError(
                f"{source} has the label {value!r}: expected 0 to {len(names) - 1}, or one of {', '.join(names)}"
            )
        found[value] = at
    return names, found


# ---------------------------------------------------------------------------------------------------------------------
# files


def read_tables(data: Path, columns: Columns) -> tuple[dict[str, dict[str, list[Any]]], list[str]]:
    """The tables of a file (one split, or a column that says which), or of a folder with a file, or numbered parts, for each
    split; and the class names of its `classes.json`, where it has one. Raises DataError, and OptionError for a split column of
    files that are split already."""
    if data.is_file():
        return _by_split(_read(data), columns.split, data.name), []
    every = [file for file in sorted(data.iterdir()) if _kind(file)]
    files = {split: [file for file in every if _stem(file) in names] for split, names in SPLITS.items()}
    if files["train"] and columns.split is not None:
        raise OptionError(
            f"split={columns.split}: {data.name} has a file for each split; leave it out, or give one file"
        )
    if files["train"]:
        tables = {split: _whole(found) for split, found in files.items() if found}
    elif len(every) == 1:
        tables = _by_split(_read(every[0]), columns.split, every[0].name)
    else:
        raise DataError(
            f"{data} holds no table of training texts: expected train{'|'.join(KINDS)} (compressed or not), or one file; "
            f"it has {', '.join(sorted(f.name for f in data.iterdir())[:8]) or 'nothing'}"
        )
    return tables, _class_names(data / "classes.json")


def _stem(file: Path) -> str:
    """train of train.csv.xz and of train-00000-of-00001.parquet."""
    return PART.split(file.name.partition(".")[0])[0].lower()


def _whole(files: Sequence[Path]) -> dict[str, list[Any]]:
    """The table of one file, or of all its numbered parts. Raises DataError where a part is missing, or files contradict."""
    parts = [PART.search(file.name) for file in files]
    wanted = {int(part[1]) if part else 1 for part in parts}
    if wanted != {len(files)}:
        raise DataError(
            f"{', '.join(file.name for file in files)} in {files[0].parent}: expected one file, or all parts of it "
            "(train-00000-of-00002.parquet and train-00001-of-00002.parquet)"
        )
    tables = [_read(file) for file in files]
    for file, table in zip(files, tables, strict=True):
        if table.keys() != tables[0].keys():
            raise DataError(f"{file} has the columns {', '.join(table)}, and {files[0].name} {', '.join(tables[0])}")
    return {name: [value for table in tables for value in table[name]] for name in tables[0]}


def _class_names(file: Path) -> list[str]:
    if not file.is_file():
        return []
    try:
        names = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}; expected a list of class names") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{file} holds {str(names)[:60]}: expected a list of class names")
    return names


def _kind(file: Path) -> str | None:
    return (
        next((s for s in file.suffixes if s in KINDS), None) if file.is_file() and file.name != "classes.json" else None
    )


def _read(file: Path) -> dict[str, list[Any]]:
    """A table's columns. Raises DataError for a file that is none, or not in UTF-8."""
    import pandas as pd

    kind = _kind(file)
    if kind is None:
        raise DataError(f"{file} is no table: expected {', '.join(KINDS)}, compressed or not")
    try:
        if kind == ".parquet":
            frame = pd.read_parquet(file)
        elif kind in (".jsonl", ".json"):
            frame = pd.read_json(file, lines=kind == ".jsonl", encoding="utf-8-sig", dtype=False)
        else:
            quoting = 3 if kind == ".tsv" else 0  # GLUE's tables have bare quotes
            separator = "\t" if kind == ".tsv" else ","
            frame = pd.read_csv(file, sep=separator, quoting=quoting, encoding="utf-8", keep_default_na=False)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not in UTF-8: {_encoding(file)}") from error
    except BROKEN as error:
        raise DataError(f"{file} cannot be read as {kind}: {error}") from error
    return {str(name): frame[name].tolist() for name in frame.columns}


def _encoding(file: Path) -> str:
    """Which lines of a file are not in UTF-8, and what to do about them."""
    opened: Any = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(file.suffix, open)
    with opened(file, "rb") as stream:
        found: bytes = stream.read()
    if found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it is UTF-16; convert it with `iconv -f utf-16 -t utf-8`"
    beyond = {n: line for n, line in enumerate(found.splitlines(), start=1) if not line.isascii()}
    bad = [n for n, line in beyond.items() if not _is_utf8(line)]
    if len(bad) < len(beyond):
        return f"{len(bad)} of its lines are not (first: line {bad[0]}) and {len(beyond) - len(bad)} are; convert those alone"
    return f"{len(bad)} of its lines (first: line {bad[0]}); convert it, for instance with `iconv -f latin1 -t utf8`"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


BROKEN = (OSError, ValueError, EOFError, ImportError, lzma.LZMAError, zlib.error, zipfile.BadZipFile)
"""What pandas raises for a file that is no table, that was cut short, or whose compression it cannot undo."""


def _by_split(table: dict[str, list[Any]], split: str | None, source: str) -> dict[str, dict[str, list[Any]]]:
    if split is not None and split not in table:
        raise OptionError(f"{source} has no column {split!r}.{choices(split, table)}")
    if split is None:
        return {"train": table}
    of = {name: kind for kind, names in SPLITS.items() for name in names}
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(table[split]):
        if str(value).lower() not in of:
            raise DataError(f"{source}: row {i} is of the split {value!r}: expected train, val or test")
        rows.setdefault(of[str(value).lower()], []).append(i)
    return {kind: {name: [values[i] for i in ids] for name, values in table.items()} for kind, ids in rows.items()}
