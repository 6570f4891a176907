"""`ddcore methods`: how a problem can be distilled."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from .group import debug_option
from .listing import json_option, print_json, print_pairs, print_table
from .options import print_options

if TYPE_CHECKING:
    from ..methods import Method
    from ..plugins import Entry

__all__ = ["methods"]


EXAMPLES = """\b
Examples:
  ddcore methods
  ddcore methods dm
"""


@click.command(short_help="Lists the methods, or describes one.", epilog=EXAMPLES)
@click.argument("name", required=False)
@json_option
@debug_option
def methods(name: str | None, as_json: bool) -> None:
    """Lists the methods, or describes the one called NAME: its paper, presets and options.

    A name with a slash serves one modality; one without serves every problem where it has a meaning.
    """
    from ..errors import PluginLoadError
    from ..plugins import installed

    if name is not None:
        every = [entry.name for entry in installed().entries("method")]
        only = [full for full in every if full.rpartition("/")[2] == name]
        entry = installed().find("method", only[0] if len(only) == 1 else name)
        _describe(entry, entry.load(), as_json)
        return
    records = []
    for entry in installed().entries("method"):
        try:
            records.append(_record(entry, entry.load()))
        except PluginLoadError as error:  # of a plugin: said, and the others are listed
            click.echo(f"left out: {error}", err=True)
    if as_json:
        print_json(records)
    else:
        print_table([{"name": r["name"], "family": r["family"], "summary": r["summary"]} for r in records])
        click.echo("\n`ddcore methods NAME` gives a method's paper, presets and options.")


def _record(entry: Entry, method: Method) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": method.summary,
        "family": method.family,
        "paper": method.paper,
        "needs": list(method.needs),
    }


def _describe(entry: Entry, method: Method, as_json: bool) -> None:
    from ..options import describe

    options = describe(method.options)
    presets = {name: " ".join((inspect.getdoc(preset) or "").split()) for name, preset in method.presets.items()}
    if as_json:
        print_json({**_record(entry, method), "presets": presets, "options": options})
        return
    needs = {"needs": ", ".join(method.needs)} if method.needs else {}
    said = {f"--preset {name}": text or "the defaults below" for name, text in presets.items()}
    head = {"name": entry.name, "": method.summary, "family": method.family, "paper": method.paper}
    print_pairs({**head, **needs, **said})
    print_options(options, "")
