"""The problems of sequential recommendation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from pydantic import Field

from ddcore.problem import Preprocessing, Problem

from .imports import read_imports
from .models.sequential import GRU4Rec, SASRec
from .problems import Negatives
from .protocol import SEQUENTIAL
from .sequences import NextItem, SequenceData, Sequences, sequence_set
from .show import draw_sequences
from .table import Table, core, distinct, split_table

__all__ = ["import_order", "sequential_problem"]


def sequential_problem(
    table: Table,  # with its split, and times
    *,
    length: int = 50,
    drawn: bool = True,
    cuts: Sequence[int] = (10,),
    negatives: int | None = None,
    dim: int = 32,
    source: str = "none",
) -> Problem[Sequences]:
    """Sequential recommendation on a table with times and a split: the way for data that no reader here knows."""
    data, items = SequenceData(table, length, drawn=drawn), len(table.items)
    return Problem(
        name="recommender",
        data=data,
        task=NextItem(data.popularity(), list(dict.fromkeys(min(k, items) for k in cuts)), negatives),
        models={"sasrec": partial(SASRec, items, length, dim), "gru4rec": partial(GRU4Rec, items, dim)},
        synthetic=sequence_set(length, items),
        recipe=SEQUENTIAL,
        input_space=f"sequences of {length}",
        preprocessing=Preprocessing(source),
        render=partial(draw_sequences, data),
    )


def import_order(
    *,
    core_size: Annotated[
        int, Field(ge=1, description="files import at least this many names, and names are imported by as many files")
    ] = 8,
    length: Annotated[int, Field(ge=2, description="latest names of a file that are looked at")] = 10,
    negatives: Negatives = None,
) -> Problem[Sequences]:
    """The order in which source files of Python's standard library, NumPy and PyTorch import names: real sequences of the
    installed versions. The last name of a file is test, the one before it val."""
    table, what = read_imports()
    table = split_table(core(distinct(table), core_size, core_size), "leave-one-out")
    return sequential_problem(table, length=length, negatives=negatives, source=what)
