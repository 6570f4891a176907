"""What the recommender plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PARAMETRIZATIONS = {
    "users": ("users:UserSet", "Fake users: a weight for each user and item."),
    "histories": ("users:SparseUsers", "Whole or partial histories of users, kept sparse."),
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems, methods, parametrizations, protocols and exporters."""
    summary = "Which source files of Python, NumPy and PyTorch import which names; read from the installation."
    yield Entry(
        "problem", "recommender/imports", "ddcore_recommender.problems:imports", summary, offline=True, default=True
    )
    for name, (target, summary) in PARAMETRIZATIONS.items():
        yield Entry("parametrization", f"recommender/{name}", f"ddcore_recommender.{target}", summary)
    yield Entry(
        "recipe", "recommender@1", "ddcore_recommender.protocol:RECOMMENDER", "Mult-VAE's training: Adam, 200 epochs."
    )
