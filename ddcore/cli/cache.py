"""`ddcore cache`: what is kept between runs, and how to make room."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from .group import debug_option
from .listing import json_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..cache import Cached

__all__ = ["cache"]


EXAMPLES = """\b
Examples:
  ddcore cache list
  ddcore cache prune --older-than 30              # says what it would remove
  ddcore cache prune --older-than 30 --yes        # and removes it
  ddcore cache prune --keep-under 2GB --yes
  ddcore cache prune --problem image/digits --yes
"""
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


class Size(click.ParamType[int]):
    """An amount of memory: 500MB, 2GiB, or a number of bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
        if match is None or match[2].upper() not in UNITS:
            self.fail(f"{value!r} is no size: such as 500MB, 2GB or 2GiB", param, ctx)
        return round(float(match[1]) * UNITS[match[2].upper()])


@click.group(
    short_help="Lists what is kept between runs, and makes room.",
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@debug_option
def cache() -> None:
    """What is costly and shared by runs is kept: experts (networks' paths in training on real rows) and ceilings (scores
    of training on all rows).

    Nothing here is needed: what was removed is computed again when a run asks for it. The folder is DDCORE_CACHE, or
    ~/.cache/ddcore.
    """


@cache.command("path", short_help="Says where the cache is.")
@debug_option
def path() -> None:
    """Prints the folder of the cache."""
    from ..cache import cache_folder

    click.echo(str(cache_folder()))


@cache.command("list", short_help="Lists what is in the cache.")
@json_option
@debug_option
def list_(as_json: bool) -> None:
    """Lists what is in the cache: its kind, what it is of, its size, when it was last used and its key."""
    from ..cache import cached

    found = cached()
    if as_json:
        print_json([_record(c) for c in found])
    elif not found:
        click.echo("The cache is empty.", err=True)
    else:
        _print(found)
        click.echo(f"\n{_count(found)}. `ddcore cache prune --help` says how to make room.")


@cache.command("prune", short_help="Removes results from the cache.", epilog=EXAMPLES)
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--problem", metavar="NAME", help="Of this problem only, such as image/digits.")
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Not used for so long; 0: all.")
@click.option(
    "--keep-under",
    type=Size(),
    metavar="SIZE",
    help="Only until the cache is at most so large, what was not used for longest first: 500MB, 2GB.",
)
@click.option("--yes", is_flag=True, help="Remove it; without this the command only says what it would remove.")
@json_option
@debug_option
def prune(
    keys: tuple[str, ...],
    problem: str | None,
    older_than: float | None,
    keep_under: int | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Removes the results with these KEYs (as `ddcore cache list` shows them), or those that the options choose.

    A result must fit all that is given. Without --yes nothing is removed.
    """
    from ..cache import cached, chosen, remove

    if not keys and problem is None and older_than is None and keep_under is None:
        raise click.UsageError("say what: KEY, --problem, --older-than or --keep-under (--older-than 0 is everything)")
    everything = cached()
    found = chosen(everything, keys=keys, problem=problem, older_than=older_than, keep_under=keep_under)
    if yes:
        remove(found)
    if as_json:
        print_json({"removed": yes, "results": [_record(c) for c in found]})
        return
    if not found:
        click.echo(f"Nothing fits. The cache holds {_count(everything)}.")
        return
    _print(found)
    if yes:
        left = [c for c in everything if c not in found]
        click.echo(f"\nRemoved {_count(found)}; {_count(left)} left.")
    else:
        click.echo(f"\nWould remove {_count(found)} of {_count(everything)}. Nothing was removed: --yes does it.")


def _print(found: Sequence[Cached]) -> None:
    print_table(
        [
            {
                "key": c.key[:12],
                "kind": c.kind,
                "problem": c.problem or "?",
                "model": c.model or "?",
                "size": _size(c.bytes),
                "used": _ago(time.time() - c.used),
                "what": c.what,
            }
            for c in found
        ]
    )


def _record(c: Cached) -> dict[str, object]:
    return {
        "kind": c.kind,
        "key": c.key,
        "problem": c.problem,
        "model": c.model,
        "what": c.what,
        "bytes": c.bytes,
        "age_seconds": round(time.time() - c.used),
        "files": [str(file) for file in c.files],
    }


def _count(found: Sequence[Cached]) -> str:
    return f"{len(found)} result{'' if len(found) == 1 else 's'} ({_size(sum(c.bytes for c in found))})"


def _size(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 10 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "now"
