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


def _standard(name: str, classes: Sequence[str], hub: str) -> Callable[..., Problem[Rows]]:
    """The factory of a data set of the field: its classes in the order of the hub, and its name there."""

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
        """From a local folder: tables of train, val and test, or what save_to_disk wrote. Classes that the folder names
        (`classes.json`, or the type of the column) are in its order."""
        if data is None:
            raise DataError(
                f"text/{name} needs --data FOLDER with train, val and test tables ({hub} of the hub, downloaded; CSV, TSV, "
                "JSON lines or Parquet) or a data set that save_to_disk wrote"
            )
        columns = Columns()
        if data.is_dir() and is_saved(data):
            tables, columns, names = read_texts(data, None, None, columns)
        else:
            tables, names = read_tables(data, columns)
        if names and len(names) != len(classes):
            raise DataError(f"text/{name} has the classes {', '.join(classes)}, and {data} names {', '.join(names)}")
        corpus = table_corpus(tables, columns, names or classes, source=f"text/{name}", rows=rows)
        return text_problem(corpus, space=space, encoder=encoder, length=length, vocabulary=vocabulary, width=width)

    load.__qualname__ = load.__name__ = name.replace("-", "_")
    return load


sst2 = _standard("sst2", ("negative", "positive"), "stanfordnlp/sst2")
qqp = _standard("qqp", ("not_duplicate", "duplicate"), "nyu-mll/glue, qqp")
mnli = _standard("mnli", ("entailment", "neutral", "contradiction"), "nyu-mll/glue, mnli")
qnli = _standard("qnli", ("entailment", "not_entailment"), "nyu-mll/glue, qnli")
mrpc = _standard("mrpc", ("not_equivalent", "equivalent"), "nyu-mll/glue, mrpc")
ag_news = _standard("ag-news", ("World", "Sports", "Business", "Sci/Tech"), "fancyzhx/ag_news")
imdb = _standard("imdb", ("negative", "positive"), "stanfordnlp/imdb")
trec = _standard("trec", ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"), "CogComp/trec")
