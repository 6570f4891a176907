"""What the text plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """Problems, parametrizations, protocols."""
    yield Entry(
        "problem",
        "text/docstrings",
        "ddcore_text.problems:docstrings",
        "Which of five libraries a docstring comes from; part of what is installed.",
        offline=True,
        default=True,
    )
    yield Entry(
        "parametrization",
        "text/embeddings",
        "ddcore_text.parametrizations:EmbeddingSequences",
        "Sequences of word vectors.",
    )
    yield Entry("recipe", "text-tokens@1", "ddcore_text.recipes:TOKENS", "AdamW 0.001, 100 epochs.")
    yield Entry("recipe", "text-sentence@1", "ddcore_text.recipes:SENTENCES", "AdamW 0.001, 200 epochs.")
    yield Entry("recipe", "fine-tuning@1", "ddcore_text.recipes:FINE_TUNING", "AdamW 0.0001, 200 epochs.")
