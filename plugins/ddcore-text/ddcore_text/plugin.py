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

METHODS = {
    "tdd": ("prescribed:TDD", "Word vectors, labels and step sizes, learned through training on them."),
    "skip-lookup": (
        "prescribed:SKIP_LOOKUP",
        "Input vectors of a frozen encoder, learned through what stands behind it.",
    ),
    "vocab-distill": ("prescribed:VOCAB_DISTILL", "Distributions over the vocabulary, read as words."),
    "attention-labels": ("attention_labels:ATTENTION_LABELS", "Word vectors with labels for a network's attention."),
    "dilm": ("dilm:DILM", "A language model learns to write texts whose gradients are those of real ones."),
    "gradmm": ("gradmm:GRADMM", "Vectors match gradients while they are drawn to words."),
    "lm-embedding": ("lm_embedding:LM_EMBEDDING", "Centres of each class in the space of a frozen encoder."),
    "k-medoids": ("selection:K_MEDOIDS", "Real texts nearest to the k-means clusters of their class."),
    "rank-by-lm": ("selection:RANK_BY_LM", "Real texts that a language model of the corpus finds most likely."),
}

PARAMETRIZATIONS = {
    "embeddings": ("EmbeddingSequences", "Sequences of word vectors."),
    "vocabulary": ("VocabularyDistributions", "Distributions over the vocabulary."),
    "written": ("WrittenTexts", "Texts."),
    "generated": ("GeneratedTexts", "A language model that writes texts."),
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """Problems, parametrizations, protocols."""
    for name, summary in PROBLEMS.items():
        here = name == "docstrings"
        module = "problems" if here else "own" if name in ("csv", "hf") else "standards"
        target = f"ddcore_text.{module}:{name.replace('-', '_')}"
        yield Entry("problem", f"text/{name}", target, summary, offline=here, default=here)
    for name, (target, summary) in PARAMETRIZATIONS.items():
        yield Entry("parametrization", f"text/{name}", f"ddcore_text.parametrizations:{target}", summary)
    for name, (target, summary) in METHODS.items():
        yield Entry("method", f"text/{name}", f"ddcore_text.methods.{target}", summary)
    yield Entry("exporter", "text/jsonl", "ddcore_text.export:to_jsonl", "A line of JSON for each text and its label.")
    yield Entry(
        "importer", "text/jsonl", "ddcore_text.importing:from_jsonl", "A line of JSON for each text and its label."
    )
    yield Entry("exporter", "text/hf", "ddcore_text.export:to_hf", "A Hugging Face data set of texts and labels.")
    yield Entry("recipe", "text-tokens@1", "ddcore_text.recipes:TOKENS", "AdamW 0.001, 100 epochs.")
    yield Entry("recipe", "text-sentence@1", "ddcore_text.recipes:SENTENCES", "AdamW 0.001, 200 epochs.")
    yield Entry("recipe", "fine-tuning@1", "ddcore_text.recipes:FINE_TUNING", "AdamW 0.0001, 200 epochs.")
