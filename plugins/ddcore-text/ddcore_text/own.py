"""Problems of the user's own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ddcore.errors import DataError
from ddcore.problem import Problem
from ddcore.rows import Rows

from .hub import read_texts
from .problems import EncoderName, Length, Space, TrainRows, Vocabulary, Width, text_problem
from .readers import Columns, read_tables, table_corpus

__all__ = ["csv", "hf"]

TextColumn = Annotated[str | None, Field(description="the column of texts; the usual names by default")]
PairColumn = Annotated[str | None, Field(description="the column of second texts, for pairs of sentences")]
LabelColumn = Annotated[str | None, Field(description="the column of classes; the usual names by default")]
SplitColumn = Annotated[
    str | None, Field(description="the column that says train, val or test, where one file has all")
]


def csv(
    data: Path | None = None,
    *,
    text: TextColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    split: SplitColumn = None,
    space: Space = "tokens",
    encoder: EncoderName = "corpus",
    length: Length = 64,
    vocabulary: Vocabulary = 10_000,
    width: Width = 64,
    rows: TrainRows = None,
) -> Problem[Rows]:
    """Your own texts: a file of CSV, TSV, JSON lines or Parquet, or a folder with train, val and test files. Without val or
    test, a seeded stratified tenth of the training texts takes its place, and the split is stored with every artifact."""
    if data is None:
        raise DataError(
            "text/csv needs --data: a table of texts and classes, or a folder with train, val and test tables"
        )
    columns = Columns(text, pair, label, split)
    tables, names = read_tables(data, columns)
    corpus = table_corpus(tables, columns, names, source=data.name, rows=rows)
    return text_problem(corpus, space=space, encoder=encoder, length=length, vocabulary=vocabulary, width=width)


def hf(
    data: Path | None = None,
    *,
    name: Annotated[str | None, Field(description="a data set of the hub, such as stanfordnlp/sst2")] = None,
    subset: Annotated[str | None, Field(description="its configuration, where it has several")] = None,
    text: TextColumn = None,
    pair: PairColumn = None,
    label: LabelColumn = None,
    space: Space = "tokens",
    encoder: EncoderName = "corpus",
    length: Length = 64,
    vocabulary: Vocabulary = 10_000,
    width: Width = 64,
    rows: TrainRows = None,
) -> Problem[Rows]:
    """Any Hugging Face text data set: by name, or a local folder (of save_to_disk, or of files that `datasets` reads)."""
    tables, columns, names = read_texts(data, name, subset, Columns(text, pair, label))
    corpus = table_corpus(tables, columns, names, source=name or str(data and data.name), rows=rows)
    return text_problem(corpus, space=space, encoder=encoder, length=length, vocabulary=vocabulary, width=width)
