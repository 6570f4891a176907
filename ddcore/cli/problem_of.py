"""The problem that an artifact was distilled from, loaded as it was then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .request import read_toml

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..problem import Problem

__all__ = ["data_option", "problem_of"]

data_option = click.option("--data", metavar="PATH", help="Folder or file of the data, where it has moved.")


def problem_of(artifact: Artifact, data: str | None) -> Problem[Any]:
    """By name and options; from `data`, or else from where the run found it."""
    from ..plugins import load

    if data is None and artifact.path is not None and "run.toml" in artifact.notes:
        data = read_toml(artifact.path / "run.toml").get("data")
    problem = artifact.manifest["problem"]
    return load(problem["name"], data, **problem["options"])
