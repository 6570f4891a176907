"""Users that were made elsewhere: tables of interactions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from ddcore.errors import ArtifactError
from ddcore.problem import Problem

from .readers import read_file
from .users import Interactions, SparseUsers, user_data

__all__ = ["from_table"]


def from_table(path: Path, problem: Problem[Interactions]) -> SparseUsers:
    """The users of a table in any form that `recommender/file` reads (`user_id,item_id`, RecBole's `.inter`, CSR), as whole
    interactions with the problem's items, by their ids. Raises DataError for a table that cannot be read and ArtifactError for
    items that the problem has not, and for weights that are not positive: what did not happen has no line."""
    items = user_data(problem).items.astype(str)
    table = read_file(path)
    at = {name: i for i, name in enumerate(items.tolist())}
    if wrong := int((table.weight <= 0).sum()):
        raise ArtifactError(
            f"{path} has {wrong} interactions with a weight of {table.weight.min():g}: every line is taken as an interaction, "
            "so leave out those that are none (weight 0 or less)"
        )
    named = table.items.astype(str)[table.item]
    if unknown := sorted(set(named.tolist()) - at.keys()):
        raise ArtifactError(
            f"{path} has {len(unknown)} items that {problem.name} has not, such as {unknown[0]!r}: items are named as in its data"
        )
    column = np.array([at[name] for name in named.tolist()], np.int64)
    rows = csr_array((np.ones(len(column), np.float32), (table.user, column)), (len(table.users), len(items)))
    rows.sum_duplicates()
    rows.data[:] = 1.0
    return SparseUsers(rows)
