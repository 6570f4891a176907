"""The public data sets by --data, and data of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ddcore.errors import DataError, OptionError
from ddcore.problem import Problem

from .ctr import clicks_of
from .problems import Negatives, ranking_problem
from .readers import KINDS, Columns, read_file
from .sequential import sequential_problem
from .table import Split, Table, core, distinct, positives, split_table

__all__ = ["amazon_beauty", "amazon_books", "amazon_magazine", "amazon_toys", "amazon_video_games", "file", "lastfm"]
__all__ += ["ml_100k", "ml_1m", "movietweetings"]

Threshold = Annotated[
    float | None, Field(description="interactions of less weight are left out; by default all count, and count alike")
]
PerUser = Annotated[
    int | None,
    Field(
        ge=1,
        description="users have at least this many; 3 by default, 1 for clicks and where the data brings its split",
    ),
]
PerItem = Annotated[int, Field(ge=1, description="and items this many, each counted after the other filter (k-core)")]
How = Annotated[
    Split | None,
    Field(
        description="the data's own split where it has one; else leave-one-out for sequences, random 80/10/10 for all others: "
        "in each user, of clicks in either class"
    ),
]
Kind = Annotated[
    Literal["ranking", "sequential", "clicks"],
    Field(description="collaborative filtering, the next item, or whether a weight reaches the threshold"),
]
Length = Annotated[int | None, Field(ge=2, description="sequential: latest items that are looked at; 50 by default")]


def _problem(
    table: Table,
    *,
    kind: str,
    length: int | None,
    threshold: float | None,
    per_user: int | None,
    per_item: int,
    split: Split | None,
    negatives: int | None,
) -> Problem[Any]:
    for name, given, meant in (
        ("length", length, kind == "sequential"),
        ("negatives", negatives, kind != "clicks"),
        ("fields", table.fields or None, kind == "clicks"),
        ("split = leave-one-out", split if split == "leave-one-out" else None, kind != "clicks"),
    ):
        if given is not None and not meant:
            raise OptionError(f"{name} has no meaning for kind = {kind}: leave it out, or choose another kind")
    if kind == "sequential" and table.time is None:
        raise DataError("kind = sequential goes by time, and the data has no time column: name it by time")
    own = table.split is not None
    how: Split = split or ("column" if own else "leave-one-out" if kind == "sequential" else "random")
    if kind == "clicks":
        kept = core(table, per_user or 1, per_item)
        return clicks_of(replace(kept, split=None) if how == "random" else split_table(kept, how), threshold)
    least = per_user or (1 if how == "column" else 3)
    kept = split_table(core(distinct(positives(table, threshold)), least, per_item), how)
    drawn = how != "column"
    if kind == "sequential":
        return sequential_problem(kept, length=length or 50, drawn=drawn, negatives=negatives)
    return ranking_problem(kept, drawn=drawn, negatives=negatives)


def file(
    data: Path | None = None,
    *,
    kind: Kind = "ranking",
    length: Length = None,
    user: Annotated[str | None, Field(description="column of the user; user_id by default")] = None,
    item: Annotated[str | None, Field(description="column of the item; item_id by default")] = None,
    weight: Annotated[
        str | None, Field(description="column of the weight; weight or rating where there is one")
    ] = None,
    time: Annotated[
        str | None, Field(description="column of the time, numbers or dates; datetime or timestamp")
    ] = None,
    split_column: Annotated[
        str | None, Field(description="column of train, val and test; split where there is one")
    ] = None,
    fields: Annotated[list[str], Field(description="clicks: other categorical columns")] = [],  # noqa: B006 - never changed
    separator: Annotated[
        str | None, Field(min_length=1, description="what stands between columns; by default what the suffix says")
    ] = None,
    threshold: Threshold = None,
    per_user: PerUser = None,
    per_item: PerItem = 1,
    split: How = None,
    negatives: Negatives = None,
) -> Problem[Any]:
    """Your own interactions: CSV or Parquet with user_id, item_id and where known weight, datetime and split; RecBole's .inter;
    a scipy CSR matrix of users by items as .npz."""
    if data is None or not data.is_file():
        raise DataError(f"recommender/file needs --data FILE ({', '.join(KINDS)}); got {data or 'nothing'}")
    columns = Columns(user, item, weight, time, split_column, tuple(fields))
    return _problem(
        read_file(data, columns, sep=separator),
        kind=kind,
        length=length,
        threshold=threshold,
        per_user=per_user,
        per_item=per_item,
        split=split,
        negatives=negatives,
    )


@dataclass(frozen=True)
class _Public:
    """A data set's file, as its authors publish it."""

    files: Sequence[str]
    names: Sequence[str]  # of columns; none where the file has a header
    sep: str
    where: str


def _read(name: str, data: Path | None, source: _Public) -> Table:
    own = [f"{name}{suffix}" for suffix in (".npz", ".inter", ".parquet", ".csv")]
    folders = (
        [] if data is None else [data, *(p for p in sorted(data.iterdir()) if p.is_dir())] if data.is_dir() else []
    )
    candidates = [folder / f for folder in folders for f in (*source.files, *own)]
    found = data if data is not None and data.is_file() else next((p for p in candidates if p.is_file()), None)
    if found is None:
        raise DataError(
            f"recommender/{name} needs --data FOLDER with {' or '.join(source.files)} (or {', '.join(own)}); got "
            f"{data or 'nothing'}. It is at {source.where}"
        )
    if found.name in source.files and found.suffix != ".npz":
        return read_file(found, names=source.names, sep=source.sep)
    return read_file(found)


def _public(name: str, what: str, source: _Public) -> Callable[..., Problem[Any]]:
    def problem(
        data: Path | None = None,
        *,
        kind: Kind = "ranking",
        length: Length = None,
        threshold: Threshold = None,
        per_user: PerUser = None,
        per_item: PerItem = 1,
        split: How = None,
        negatives: Negatives = None,
    ) -> Problem[Any]:
        return _problem(
            _read(name, data, source),
            kind=kind,
            length=length,
            threshold=threshold,
            per_user=per_user,
            per_item=per_item,
            split=split,
            negatives=negatives,
        )

    problem.__name__ = problem.__qualname__ = name.replace("-", "_")
    problem.__doc__ = f"{what}, from {' or '.join(source.files)} ({source.where})."
    return problem


MOVIES = ("user_id", "item_id", "rating", "timestamp")

ml_100k = _public(
    "ml-100k", "MovieLens 100K", _Public(("u.data",), MOVIES, "\t", "grouplens.org/datasets/movielens/100k")
)
ml_1m = _public("ml-1m", "MovieLens 1M", _Public(("ratings.dat",), MOVIES, "::", "grouplens.org/datasets/movielens/1m"))
movietweetings = _public(
    "movietweetings",
    "MovieTweetings, films rated on Twitter",
    _Public(("ratings.dat", "movietweetings-100k.npz"), MOVIES, "::", "github.com/sidooms/MovieTweetings"),
)
lastfm = _public(
    "lastfm",
    "Last.fm listening counts of HetRec 2011",
    _Public(("user_artists.dat",), (), "\t", "grouplens.org/datasets/hetrec-2011"),
)


def _amazon(name: str, category: str) -> Callable[..., Problem[Any]]:
    where = "amazon-reviews-2023.github.io, ratings only"
    return _public(name, f"Amazon reviews 2023, {category}", _Public((f"{category}.csv",), (), ",", where))


amazon_beauty = _amazon("amazon-beauty", "All_Beauty")
amazon_books = _amazon("amazon-books", "Books")
amazon_magazine = _amazon("amazon-magazine", "Magazine_Subscriptions")
amazon_toys = _amazon("amazon-toys", "Toys_and_Games")
amazon_video_games = _amazon("amazon-video-games", "Video_Games")
