"""Users that were made elsewhere: tables of interactions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array

from ddcore.errors import ArtifactError
from ddcore.problem import Problem

from .readers import read_file
from .users import Interactions, SparseUsers, UserSet, user_data

__all__ = ["from_table"]


def from_table(path: Path, problem: Problem[Interactions]) -> SparseUsers | UserSet:
    """The users of a table in any form that `recommender/file` reads (`user_id,item_id`, RecBole's `.inter`, CSR), with the
    problem's items, by their ids: as weights where some are below 1 and none above, else as whole interactions. Raises
    DataError for a table that cannot be read and ArtifactError for items that the problem has not, and for weights that are not
    positive: what did not happen has no line."""
    items = user_data(problem).items.astype(str)
    table = read_file(path)
    at = {name: i for i, name in enumerate(items.tolist())}
    if wrong := int((table.weight <= 0).sum()):
        raise ArtifactError(
            f"{path} has {wrong} interactions with a weight of 0 or less (the smallest is {table.weight.min():g}): leave out "
            "those that are none"
        )
    named = table.items.astype(str)[table.item]
    if unknown := sorted(set(named.tolist()) - at.keys()):
        raise ArtifactError(
            f"{path} has {len(unknown)} items that {problem.name} has not, such as {unknown[0]!r}: items are named as in its "
            "data, the columns of a matrix by its item_ids"
        )
    column = np.array([at[name] for name in named.tolist()], np.int64)
    shape = len(table.users), len(items)
    if table.weight.min() < 1 and table.weight.max() <= 1:
        x = np.zeros(shape, np.float32)
        np.maximum.at(x, (table.user, column), table.weight)
        return UserSet({0: shape[0]}, torch.from_numpy(x))
    rows = csr_array((np.ones(len(column), np.float32), (table.user, column)), shape)
    rows.sum_duplicates()
    rows.data[:] = 1.0
    return SparseUsers(rows)
