"""The problems of click-through prediction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ddcore.errors import DataError
from ddcore.problem import Preprocessing, Problem
from ddcore.seeds import stream
from ddcore.splits import stratified_split

from .clicks import ClickData, Clicking, Clicks, click_set
from .imports import read_imports
from .models.deepfm import DNN, DeepFM
from .protocol import CLICKS
from .show import draw_clicks
from .table import Table, core, distinct

__all__ = ["click_problem", "clicks_of", "import_clicks"]


def click_problem(
    fields: Mapping[str, NDArray[np.int64]],  # (n,) values from 0, by the field's name
    clicked: NDArray[np.bool_],  # (n,)
    *,
    split: NDArray[np.int64] | None = None,  # (n,) 0 train, 1 val, 2 test; drawn where it is None
    source: str = "none",
) -> Problem[Clicks]:
    """Click-through prediction from arrays: every row counts. Raises DataError where a split has only one of the two classes."""
    y = clicked.astype(np.int64)
    if len(np.unique(y)) < 2:
        raise DataError(f"all {len(y)} rows are {'clicks' if y[0] else 'no clicks'}: choose another threshold")
    drawn = split is None
    if split is None:
        splits = stratified_split(y.tolist())
    else:
        splits = {name: np.flatnonzero(split == s).tolist() for s, name in enumerate(("train", "val", "test"))}
    for name, ids in splits.items():
        if len(ids) and len(np.unique(y[ids])) < 2:
            raise DataError(
                f"all {len(ids)} rows of {name} are {'clicks' if y[ids[0]] else 'no clicks'}: choose another threshold or split"
            )
    data = ClickData(np.stack(list(fields.values()), 1), y, splits, drawn=drawn)
    return Problem(
        name="recommender",
        data=data,
        task=Clicking(),
        models={"deepfm": partial(DeepFM, data.sizes), "dnn": partial(DNN, data.sizes)},
        synthetic=click_set(data.sizes),
        recipe=CLICKS,
        input_space="fields",
        preprocessing=Preprocessing(source),
        render=partial(draw_clicks, data),
        class_names=("no click", "click"),
    )


def clicks_of(table: Table, threshold: float | None) -> Problem[Clicks]:
    """A weight of at least the threshold is a click. The fields are the user, the item and the table's others."""
    if threshold is None:
        raise DataError("clicks need a threshold: interactions of at least that weight are clicks, the others are none")
    others = {f"field {name}": values for name, values in table.fields.items()}  # one may be called user or item
    fields = {"user": table.user, "item": table.item, **others}
    return click_problem(fields, table.weight >= threshold, split=table.split)


def import_clicks() -> Problem[Clicks]:
    """Whether a file of a folder imports a name: real pairs from the source files of Python's standard library, NumPy and
    PyTorch, and for each a random pair of a file and a name that it does not import. Fields: the folder, the folder above,
    the name, the module that it is of."""
    table, what = read_imports()
    table = core(distinct(table), 8, 8)
    users, items = len(table.users), len(table.items)
    g = np.random.default_rng(stream("import-clicks").getrandbits(63))
    real = set((table.user * items + table.item).tolist())
    drawn = g.integers(users * items, size=3 * len(table))
    others = np.array([pair for pair in drawn.tolist() if pair not in real][: len(table)])
    user = np.concatenate([table.user, others // items])
    item = np.concatenate([table.item, others % items])
    folder = np.array([name.rpartition(".")[0] for name in table.users.tolist()])
    above = np.array([name.partition(".")[0] for name in table.users.tolist()])
    module = np.array([name.rpartition(".")[0] for name in table.items.tolist()])
    fields = {
        "folder": _numbers(folder)[user],
        "above": _numbers(above)[user],
        "name": item,
        "module": _numbers(module)[item],
    }
    return click_problem(fields, np.arange(len(user)) < len(table), source=what)


def _numbers(words: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(words, return_inverse=True)[1].astype(np.int64)
