"""`ddcore report`: one page about distilled sets, or about a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .group import debug_option

__all__ = ["report"]


EXAMPLES = """\b
Examples:
  ddcore report digits-dm-10                       # writes digits-dm-10/report.html
  ddcore report digits-dm-10 digits-dc-10 --out both.html
  ddcore report table                              # the folder of `ddcore compare`
"""


@click.command(short_help="Writes a page about sets or a comparison.", epilog=EXAMPLES)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="[default: DIR/report.html]"
)
@debug_option
def report(folders: tuple[Path, ...], out: Path | None) -> None:
    """Writes one page of HTML about the sets in DIR..., with the sets themselves, their scores, cost and how to load them.

    The page holds everything it shows and works offline. Run `ddcore evaluate DIR` first, for scores. Of a folder of
    `ddcore compare` it shows the tables.
    """
    from ..artifact import open as open_artifact
    from ..errors import OptionError
    from ..pages import comparison_page, run_page
    from ..storage import write_text

    if out is None and len(folders) > 1:
        raise OptionError(
            f"one page about {len(folders)} folders belongs to none of them: say where it goes with --out FILE"
        )
    tables = [folder for folder in folders if (folder / "results.json").is_file()]
    if tables and len(folders) > 1:
        raise OptionError(f"{tables[0]} is a comparison: it has a page of its own")
    if tables:
        page = comparison_page(_rows(tables[0] / "results.json"), tables[0].resolve().name)
    else:
        page = run_page([open_artifact(folder) for folder in folders])
    place = out or folders[0] / "report.html"
    write_text(place, page)
    click.echo(f"The page is {place}")


def _rows(file: Path) -> list[dict[str, Any]]:
    """The rows that a comparison wrote."""
    import json

    from ..errors import DataError

    try:
        rows = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is cut short or altered ({error}): run the same `ddcore compare` again") from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"problem", "method"} <= row.keys() for row in rows
    ):
        raise DataError(f"{file} holds no rows of `ddcore compare`: give the folder that it wrote")
    return rows
