"""The field's standards, from local files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ddcore.errors import DataError
from ddcore.hub import is_saved
from ddcore.problem import Problem
from ddcore.rows import Rows

from .hub import read_texts
from .problems import EncoderName, Length, Space, TrainRows, Vocabulary, Width, text_problem
from .readers import Columns, read_tables, table_corpus

__all__ = ["ag_news", "imdb", "mnli", "mrpc", "qnli", "qqp", "sst2", "trec"]


def _standard(name: str, columns: Columns, classes: Sequence[str], hub: str) -> Callable[..., Problem[Rows]]:
    """The factory of a data set of the field: its columns where its files are published, its classes in their order, and where
    that is."""

    def load(
        data: Path | None = None,
        *,
        space: Space = "tokens",
        encoder: EncoderName = "corpus",
        length: Length = 64,
        vocabulary: Vocabulary = 10_000,
        width: Width = 64,
        rows: TrainRows = None,
    ) -> Problem[Rows]:
        """From a local folder: tables of train, val and test, or what save_to_disk wrote."""
        if data is None:
            raise DataError(
                f"text/{name} needs --data FOLDER with train, val and test tables ({hub} of the hub, downloaded; CSV, TSV, "
                "JSON lines or Parquet) or a data set that save_to_disk wrote"
            )
        saved = data.is_dir() and is_saved(data)
        tables, _ = read_texts(data, None, None, columns) if saved else read_tables(data, columns)
        there = next(iter(tables.values()))
        published = all(c is None or c in there for c in (columns.text, columns.pair, columns.label))
        known = columns if published else Columns()
        corpus = table_corpus(tables, known, classes, source=f"text/{name}", rows=rows)
        return text_problem(corpus, space=space, encoder=encoder, length=length, vocabulary=vocabulary, width=width)

    load.__qualname__ = load.__name__ = name.replace("-", "_")
    return load


ENTAILMENT = ("entailment", "neutral", "contradiction")

sst2 = _standard("sst2", Columns("sentence", None, "label"), ("negative", "positive"), "stanfordnlp/sst2")
qqp = _standard("qqp", Columns("question1", "question2"), ("not_duplicate", "duplicate"), "nyu-mll/glue, qqp")
mnli = _standard("mnli", Columns("premise", "hypothesis", "label"), ENTAILMENT, "nyu-mll/glue, mnli")
qnli = _standard("qnli", Columns("question", "sentence"), ("entailment", "not_entailment"), "nyu-mll/glue, qnli")
mrpc = _standard("mrpc", Columns("sentence1", "sentence2"), ("not_equivalent", "equivalent"), "nyu-mll/glue, mrpc")
ag_news = _standard("ag-news", Columns("text"), ("World", "Sports", "Business", "Sci/Tech"), "fancyzhx/ag_news")
imdb = _standard("imdb", Columns("text"), ("negative", "positive"), "stanfordnlp/imdb")
trec = _standard("trec", Columns("text"), ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"), "CogComp/trec")
