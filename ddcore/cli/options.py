"""The options of a method or a problem, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .listing import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["print_options"]


def print_options(options: Sequence[Mapping[str, Any]], prefix: str) -> None:
    """A line per option, as `--set` takes it."""
    if not options:
        click.echo("\nIt has no options.")
        return
    click.echo(f"\nOptions, each set by --set {prefix}KEY=VALUE:")
    print_table(
        [
            {
                "key": prefix + o["name"],
                "default": "(needed)" if o["required"] else _plain(o["default"]),
                "meaning": f"{o['description']} ({o['type']})" if o["description"] else o["type"],
            }
            for o in options
        ]
    )


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
