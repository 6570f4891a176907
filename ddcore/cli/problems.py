"""`ddcore problems`: what can be distilled."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from .group import debug_option
from .listing import json_option, print_json, print_pairs, print_table
from .options import print_options

if TYPE_CHECKING:
    from ..plugins import Entry

__all__ = ["problems"]


EXAMPLES = """\b
Examples:
  ddcore problems
  ddcore problems image/digits
"""


@click.command(short_help="Lists the problems, or describes one.", epilog=EXAMPLES)
@click.argument("name", required=False)
@json_option
@debug_option
def problems(name: str | None, as_json: bool) -> None:
    """Lists the problems, or describes the one called NAME with its options.

    A problem is a data set, what is to be learned on it, and its networks.
    """
    from ..plugins import installed

    if name is not None:
        _describe(installed().find("problem", name), as_json)
        return
    found = installed().entries("problem")
    if as_json:
        print_json([_record(entry) for entry in found])
    elif not found:
        click.echo("No problem is installed: pip install ddcore-image", err=True)
    else:
        print_table([{"name": e.name, "loads": _loads(e), "summary": e.summary} for e in found])
        click.echo("\n* the one to try first · `ddcore problems NAME` lists a problem's options")


def _loads(entry: Entry) -> str:
    return ("offline" if entry.offline else "with --data") + (" *" if entry.default else "")


def _record(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "modality": entry.modality,
        "offline": entry.offline,
        "default": entry.default,
    }


def _describe(entry: Entry, as_json: bool) -> None:
    from ..options import describe
    from ..problems import factory

    make, model = factory(entry)
    options, takes_data = describe(model), "data" in inspect.signature(make).parameters
    if as_json:
        print_json({**_record(entry), "data": takes_data, "options": options})
        return
    print_pairs({"name": entry.name, "": entry.summary, "loads": "offline" if entry.offline else "from --data PATH"})
    print_options(options, "problem.")
    more = "" if entry.offline else " --data PATH"
    click.echo(f"\nTry: ddcore distill {entry.name}{more} --method dm --ipc 1 --out first")
