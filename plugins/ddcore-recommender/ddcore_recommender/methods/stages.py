"""Stages of plans that the core has no word for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.methods.plan import Work
    from ddcore.parametrizations.base import Synthetic

__all__ = ["Become", "of_clicks", "of_rankings", "of_sequences"]


@dataclass(frozen=True)
class Become:
    """The set becomes another one: codes from selected rows, or rows from codes."""

    make: Callable[[Work[Any]], Synthetic[Any]]

    def run(self, work: Work[Any]) -> None:
        """Leaves the new set in `work.synthetic`."""
        work.synthetic = self.make(work).to(work.problem.device)


def of_rankings(problem: Any) -> str | None:
    """Why a method for histories refuses this problem; None where it has them."""
    return None if problem.input_space == "histories" else "it distils histories of users, and this problem has none"


def of_sequences(problem: Any) -> str | None:
    """Why a method for sequences refuses this problem."""
    return None if problem.input_space.startswith("sequences") else "it distils sequences, and this problem has none"


def of_clicks(problem: Any) -> str | None:
    """Why a method for clicks refuses this problem."""
    return (
        None if problem.input_space == "fields" else "it distils rows of categorical fields, and this problem has none"
    )
