"""Errors a user can act on: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ArtifactError",
    "BudgetError",
    "DDCoreError",
    "DataError",
    "Diverged",
    "NotSupported",
    "ObjectiveExhausted",
    "OptionError",
    "PluginConflictError",
    "PluginLoadError",
    "UnknownName",
    "choices",
    "expect",
]


class DDCoreError(Exception):
    """The base of all errors whose message is meant for the user."""


class UnknownName(DDCoreError, LookupError):
    """A problem, method, model, protocol ... that nothing installed provides."""


class OptionError(DDCoreError, ValueError):
    """An option that does not exist, or a value of the wrong type or range."""


class BudgetError(DDCoreError, ValueError):
    """A budget that the data cannot fill."""


class DataError(DDCoreError, ValueError):
    """Data that is missing, unreadable or unfit (NaN, an empty class)."""


class NotSupported(DDCoreError, ValueError):
    """A method, label or model that has no meaning on this problem."""


class ArtifactError(DDCoreError, ValueError):
    """A distilled dataset that is incomplete, altered or of a newer format."""


class Diverged(DDCoreError, ArithmeticError):
    """A run that left the finite numbers; the set is put back to its last good state first."""

    artifact: Any = None
    """The last good state as an artifact, where there is one."""


class ObjectiveExhausted(DDCoreError, RuntimeError):
    """An objective's generator ended before the run did."""


class PluginLoadError(DDCoreError, ImportError):
    """A name that belongs to a plugin which failed to load."""


class PluginConflictError(DDCoreError):
    """Two distributions that provide the same full name."""


def choices(given: str, valid: Iterable[str]) -> str:
    """`did you mean a, b?` when something is close, and the whole list when it is short."""
    valid = sorted(valid)
    close = difflib.get_close_matches(given, valid, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{hint} Valid choices: {', '.join(valid)}." if valid else hint


def expect(what: str, value: object, kind: type | tuple[type, ...], meant: str) -> None:
    """Raises OptionError for an argument of another type, where Python's own error would come late and from deep inside."""
    if not isinstance(value, kind):
        raise OptionError(f"{what} = {value!r}: expected {meant}")
