"""What several methods share: why they refuse a problem, and the preset that changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.problem import Problem

__all__ = ["as_it_is", "without_single_texts", "without_words"]


def without_words(problem: Problem[Any]) -> str | None:
    """For methods that learn word vectors."""
    from ..data import TokenData, text_data

    return None if isinstance(text_data(problem.data), TokenData) else 'its rows are sentence vectors: space = "tokens"'


def without_single_texts(problem: Problem[Any]) -> str | None:
    """For methods that write texts."""
    from ..data import text_data

    if not isinstance(text_data(problem.data).corpus.texts[0], str):
        return "its rows are pairs of texts, and it writes one: learn vectors (text/tdd), or select real pairs"
    return without_words(problem)


def as_it_is(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults."""
    return {}
