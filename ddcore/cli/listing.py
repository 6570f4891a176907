"""What lists print: a table that fits the terminal, or one JSON value. Imports nothing heavy."""

from __future__ import annotations

import json
import shutil
import textwrap
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from .stdout import stdout_to_stderr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["aside", "json_option", "print_json", "print_pairs", "print_table"]

GAP = 2
ASIDE = "ddcore.aside"


def aside(context: click.Context) -> ExitStack:
    """What a command has set aside: stdout, from `--json` to `print_json`. The group closes it when the command ends."""
    found: ExitStack = context.meta.setdefault(ASIDE, ExitStack())
    return found


def _set_aside(context: click.Context, _: click.Parameter, value: bool) -> bool:
    if value:
        aside(context).enter_context(stdout_to_stderr())
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_set_aside, help="One JSON value on stdout; all else goes to stderr."
)


def print_json(value: Any) -> None:
    """One JSON value; what JSON has no number for (NaN, infinity) is null."""
    plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
    aside(click.get_current_context()).close()
    click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def print_table(records: Sequence[Mapping[str, str]]) -> None:
    """A line per record under the keys of the first; the last column is wrapped to the terminal."""
    if not records:
        return
    headings = list(records[0])
    widths = [max(len(h), *(len(r[h]) for r in records)) for h in headings[:-1]]
    indent = sum(widths) + GAP * len(widths)
    room = max(shutil.get_terminal_size().columns - indent, 24)
    for record in ({h: h for h in headings}, *records):
        cells = [record[h].ljust(w + GAP) for h, w in zip(headings, widths, strict=False)]
        lines = textwrap.wrap(record[headings[-1]], room) or [""]
        text = "".join(cells) + f"\n{' ' * indent}".join(lines)
        click.echo(click.style(text, bold=True) if record[headings[0]] is headings[0] else text.rstrip())


def print_pairs(pairs: Mapping[str, str]) -> None:
    """A line per pair, the values in one column and wrapped."""
    width = max(map(len, pairs)) + GAP
    room = max(shutil.get_terminal_size().columns - width, 24)
    for name, value in pairs.items():
        lines = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False) or [""]
        click.echo((name.ljust(width) + f"\n{' ' * width}".join(lines)).rstrip())
