"""The command `ddcore`. Each command imports what it needs when it runs, so that help and lists answer at once."""

from __future__ import annotations

import click

from .. import __version__
from ..allocator import keep_freed_memory
from .group import Commands, debug_option

__all__ = ["main"]


START = """\b
Start here:
  ddcore problems                         # what can be distilled
  ddcore methods                          # and how
  ddcore distill image/digits --method dm --ipc 10 --out digits-dm-10
  ddcore evaluate digits-dm-10            # beside random real rows
  ddcore show digits-dm-10                # where its picture is
"""


@click.group(
    cls=Commands, epilog=START, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="ddcore")
@debug_option
@click.pass_context
def main(context: click.Context) -> None:
    """Distils a data set into a few synthetic rows that a network learns from almost as well."""
    keep_freed_memory()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.modules = {
    "distill": "distill",
    "evaluate": "evaluate",
    "show": "show",
    "compare": "compare",
    "report": "report",
    "estimate": "estimate",
    "export": "export",
    "import": "import_",
    "problems": "problems",
    "methods": "methods",
    "plugins": "plugins",
    "cache": "cache",
}
