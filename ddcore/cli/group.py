"""The group of commands: what each ending of a command is to the shell.

0: done. 1: the run failed (it diverged, or a bug). 2: bad input, said in one message. 130: interrupted. Only `--debug`
shows a traceback.
"""

from __future__ import annotations

import errno
import traceback
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

import click

from ..errors import DDCoreError, Diverged, ObjectiveExhausted, choices
from .listing import aside

__all__ = ["BadInput", "Commands", "Failure", "debug_option"]
F = TypeVar("F", bound=Callable[..., Any])
DEBUG = "ddcore.debug"


class BadInput(click.ClickException):
    """What was asked for cannot be done: one message on stderr."""

    exit_code = 2


class Failure(click.ClickException):
    """A run that failed: one message on stderr."""

    exit_code = 1


def debug_option(command: F) -> F:
    """`--debug`, on the group and on every command."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Show the traceback of an error.",
    )(command)


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[DEBUG] = value or context.meta.get(DEBUG, False)


class Commands(click.Group):
    """Commands whose errors are messages. Each is imported when it is asked for: `modules` has the module of this package, and
    the name in it, by the command's own name."""

    modules: Mapping[str, str] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of `modules`."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported."""
        if cmd_name not in self.modules:
            return None
        name = self.modules[cmd_name]
        found: click.Command = getattr(import_module(f".{name}", __package__), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name; a wrong one gets its close matches."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"no command {args[0]!r}.{choices(args[0], self.modules)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command, and turns what it raises into a message and an exit code."""
        try:
            with aside(ctx), warnings.catch_warnings():
                warnings.showwarning = _say
                return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            raise click.exceptions.Exit(130) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            if ctx.meta.get(DEBUG):
                click.echo("".join(traceback.format_exception(error)), err=True)
            raise _failure(error) from error


def _say(message: Warning | str, *_: object, **__: object) -> None:
    """A warning on one line, without the place in the code."""
    click.echo(f"Warning: {message}", err=True)


def _failure(error: Exception) -> click.ClickException:
    if isinstance(error, Diverged | ObjectiveExhausted):
        return Failure(str(error))
    if isinstance(error, DDCoreError):
        return BadInput(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return BadInput(f"{where}{error.strerror}")
    return Failure(f"{type(error).__name__}: {error}. That is a bug, or memory ran out; --debug shows where")
