"""`ddcore plugins`: what is installed, and why something is not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from .group import debug_option
from .listing import json_option, print_json, print_table

if TYPE_CHECKING:
    from ..plugins import Plugin

__all__ = ["plugins"]


EXAMPLES = """\b
Example:
  ddcore plugins
DDCORE_BLOCK_PLUGINS=name,... leaves plugins out; DDCORE_LOAD_PLUGINS=name,... loads no others.
"""


@click.command(short_help="Lists what is installed, and what failed to load.", epilog=EXAMPLES)
@json_option
@debug_option
def plugins(as_json: bool) -> None:
    """Lists the plugins that are installed, and why one did not load."""
    from ..plugins import installed

    found = installed()
    if as_json:
        print_json([_record(plugin) for plugin in found.plugins])
        return
    print_table(
        [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "status": "not loaded" if plugin.error else "ok",
                "provides": plugin.error or _summary(plugin),
            }
            for plugin in found.plugins
        ]
    )
    for conflict in found.conflicts.values():
        click.echo(f"conflict: {conflict}", err=True)


def _record(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "summary": plugin.error or _summary(plugin),
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "entries": [{"kind": e.kind, "name": e.name, "summary": e.summary} for e in plugin.entries],
    }


def _summary(plugin: Plugin) -> str:
    counts = Counter(entry.kind for entry in plugin.entries)
    return ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
