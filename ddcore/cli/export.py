"""`ddcore export`: a distilled set in the form that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .group import debug_option
from .problem_of import data_option, problem_of

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..problem import Problem

__all__ = ["export"]


EXAMPLES = """\b
Examples:
  ddcore export digits-dm-10 --to hf --out digits-hf
  ddcore export digits-dm-10 --to pt --out digits.pt
"""


@click.command(short_help="Writes a set as other programs load it.", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR")
@click.option("--to", required=True, metavar="FORM", help="hf, pt, png, or another that a plugin brings.")
@click.option("--out", required=True, metavar="PATH", type=click.Path(path_type=Path), help="File or folder to write.")
@data_option
@debug_option
def export(folder: str, to: str, out: Path, data: str | None) -> None:
    """Writes the set in DIR as another program reads it.

    hf: a Hugging Face data set on disk; pt: one file of tensors for torch.load(weights_only=True); png: a folder of
    pictures (images).
    """
    from ..artifact import open as open_artifact
    from ..exporters import export as write
    from ..exporters import exporter

    artifact = open_artifact(folder)
    exporter(artifact, to)  # before the data are read
    click.echo(f"Written to {write(artifact, to, out, _problem(artifact, data))}")


def _problem(artifact: Artifact, data: str | None) -> Problem[Any] | None:
    """The problem, where it can be loaded: a set that is stored as rows needs none."""
    from ..errors import DataError, PluginLoadError, UnknownName

    try:
        return problem_of(artifact, data)
    except (DataError, PluginLoadError, UnknownName) as error:
        if data is not None:
            raise
        click.echo(f"Exporting without the problem: {error}", err=True)
        return None
