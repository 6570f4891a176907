"""What the text plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PROBLEMS = {
    "docstrings": "Which of five libraries a docstring comes from; part of what is installed.",
    "csv": "Your own texts: CSV, TSV, JSON lines or Parquet, with split files or columns where you have them.",
    "hf": "Any Hugging Face text data set, from the hub or a local path.",
    "sst2": "Film reviews, one sentence: negative or positive.",
    "qqp": "Pairs of questions: whether they ask the same.",
    "mnli": "Premise and hypothesis: entailment, neutral or contradiction.",
    "qnli": "Question and sentence: whether it holds the answer.",
    "mrpc": "Pairs of sentences: whether they say the same.",
    "ag-news": "News, four topics.",
    "imdb": "Film reviews: negative or positive.",
    "trec": "Questions, six kinds of answer.",
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """Problems, parametrizations, protocols."""
    for name, summary in PROBLEMS.items():
        here = name == "docstrings"
        module = "problems" if here else "own" if name in ("csv", "hf") else "standards"
        target = f"ddcore_text.{module}:{name.replace('-', '_')}"
        yield Entry("problem", f"text/{name}", target, summary, offline=here, default=here)
    yield Entry(
        "parametrization",
        "text/embeddings",
        "ddcore_text.parametrizations:EmbeddingSequences",
        "Sequences of word vectors.",
    )
    yield Entry("recipe", "text-tokens@1", "ddcore_text.recipes:TOKENS", "AdamW 0.001, 100 epochs.")
    yield Entry("recipe", "text-sentence@1", "ddcore_text.recipes:SENTENCES", "AdamW 0.001, 200 epochs.")
    yield Entry("recipe", "fine-tuning@1", "ddcore_text.recipes:FINE_TUNING", "AdamW 0.0001, 200 epochs.")
