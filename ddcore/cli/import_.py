"""`ddcore import`: a set that was made elsewhere becomes an artifact."""

from __future__ import annotations

from pathlib import Path

import click

from .group import debug_option

__all__ = ["import_"]


EXAMPLES = """\b
Examples:
  ddcore import res_DM_CIFAR10_ConvNet_10ipc.pt --from pt --problem image/cifar10 --data cifar-10 --out theirs
  ddcore evaluate theirs
"""


@click.command("import", short_help="Takes in a set that was made elsewhere.", epilog=EXAMPLES)
@click.argument("path")
@click.option("--from", "form", required=True, metavar="FORM", help="pt, png, or another that a plugin brings.")
@click.option("--problem", required=True, metavar="NAME", help="What it was distilled from: `ddcore problems`.")
@click.option("--data", metavar="PATH", help="Folder or file of the problem's data, where it does not bring it.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="An option of the problem; may be repeated."
)
@click.option(
    "--method", default="imported", show_default=True, metavar="NAME", help="What it was made by, for tables."
)
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for the artifact.")
@debug_option
def import_(
    path: str, form: str, problem: str, data: str | None, assignments: tuple[str, ...], method: str, out: Path
) -> None:
    """Makes an artifact of the distilled set at PATH, so that it is evaluated, compared and shown like our own.

    pt: what the code of DC, DSA, DM, MTT, FTD and DATM saves; png: a folder of images for each class, as SRe2L and RDED
    write them; graphslim: its feat, label and adj files; jsonl: texts and classes; csv: interactions. Nothing that a file
    holds is run.
    """
    from ..importers import import_set
    from ..options import parse_assignment, to_toml
    from ..plugins import installed, load
    from .request import PROBLEM

    installed().find("importer", form, installed().find("problem", problem).modality)
    options = dict(parse_assignment(text.removeprefix(PROBLEM)) for text in assignments)
    loaded = load(problem, data, **options)
    run = None if data is None else to_toml({"data": Path(data).expanduser().absolute()})
    artifact = import_set(path, form, loaded, method=method).save(out, run=run)
    click.echo(f"{sum(artifact.manifest['counts'].values())} rows are in {out}: `ddcore evaluate {out}` scores them.")
