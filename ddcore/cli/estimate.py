"""`ddcore estimate`: what a run will cost, before it."""

from __future__ import annotations

from typing import Any

import click

from .group import debug_option
from .listing import json_option, print_json
from .progress import Progress
from .request import Request, request_options

__all__ = ["estimate"]


EXAMPLES = """\b
Example:
  ddcore estimate image/digits --method dm --ipc 10 --preset paper
"""


@click.command(short_help="Says what a run will cost, before it.", epilog=EXAMPLES)
@request_options
@json_option
@debug_option
def estimate(as_json: bool, **flags: Any) -> None:
    """Time, memory and disk of `ddcore distill` with the same arguments, from a few seconds of the run."""
    wanted = Request.of(**flags)
    from ..estimation import estimate as run

    with Progress(f"measuring {wanted.method} on {wanted.problem}"):
        found = run(wanted.load(), wanted.method, **wanted.arguments())
    if as_json:
        print_json(found.to_json())
    else:
        from rich.console import Console

        Console().print(found.table())
