"""The problems of collaborative filtering."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from ddcore.problem import Preprocessing, Problem

from .imports import read_imports
from .models.ease import EASE, Popularity
from .models.infinite_ae import InfiniteAE, autoencoder_kernel
from .models.lightgcn import LightGCN
from .models.mf import MF
from .models.mult_vae import MultVAE
from .models.neumf import NeuMF
from .protocol import RECOMMENDER
from .ranking import Ranking
from .show import draw_users
from .table import Table, core, distinct, split_table
from .users import Interactions, UserData, user_set

__all__ = ["imports", "ranking_problem"]

Negatives = Annotated[
    int | None,
    Field(ge=1, description="rank against this many sampled others instead of all items; metrics then say so"),
]


def ranking_problem(
    table: Table,  # with its split
    *,
    drawn: bool = True,
    cuts: Sequence[int] = (10, 100),
    negatives: int | None = None,
    hidden: int = 600,
    source: str = "none",
) -> Problem[Interactions]:
    """Collaborative filtering on a table that has a split: the way for data that no reader here knows.

    `drawn` says that the split was drawn here and should be stored with every artifact. Raises DataError where nobody can be
    trained on or tested.
    """
    data = UserData(table, drawn=drawn)
    items = len(table.items)
    train = data.train
    return Problem(
        name="recommender",
        data=data,
        task=Ranking(
            np.bincount(train.indices, minlength=items), list(dict.fromkeys(min(k, items) for k in cuts)), negatives
        ),
        models={
            "mult-vae": partial(MultVAE, items, hidden, max(hidden // 3, 1)),
            "infinite-ae": InfiniteAE,
            "ease": EASE,
            "mf": partial(MF, items),
            "neumf": partial(NeuMF, items),
            "lightgcn": partial(LightGCN, items),
            "popularity": Popularity,
        },
        synthetic=user_set(items, train.nnz / (train.shape[0] * items)),
        recipe=RECOMMENDER,
        input_space="histories",
        kernels={"ntk": autoencoder_kernel},
        preprocessing=Preprocessing(source),
        render=partial(draw_users, data),
        quick={"dc": {"lr": 0.003}, "mtt": {"lr": 1.0}},  # weights are in [0, 1], most of them 0
    )


def imports(
    *,
    core_size: Annotated[
        int, Field(ge=1, description="files import at least this many names, and names are imported by as many files")
    ] = 8,
    negatives: Negatives = None,
) -> Problem[Interactions]:
    """Which source files of Python's standard library, NumPy and PyTorch (users) import which names (items): real data of
    the installed versions. Of each file a seeded tenth of the names is test, a tenth val."""
    table, what = read_imports()
    table = split_table(core(distinct(table), core_size, core_size), "random")
    return ranking_problem(table, negatives=negatives, hidden=300, source=what)
