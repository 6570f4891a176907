"""What the methods' declarations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.problem import Problem

__all__ = ["defaults", "not_nodes"]


def defaults(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The preset that leaves every option at its default."""
    return {}


def not_nodes(problem: Problem[Any]) -> str | None:
    """Why a method of nodes refuses a problem; None where its data is a single graph with labelled nodes."""
    from ..data import NodeData

    nodes = isinstance(problem.data, NodeData)
    return None if nodes else "its rows are no nodes; doscond-graphs and kidd are for whole graphs"
