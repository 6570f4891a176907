"""A problem from its entry: the data path and the options are checked, then the plugin's factory is called."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, OptionError, PluginLoadError
from .options import Options, model_of, resolve
from .problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .plugins import Entry

__all__ = ["build", "factory"]


def factory(entry: Entry) -> tuple[Callable[..., Any], type[Options]]:
    """The factory that the entry names, and its options. Raises PluginLoadError where the two cannot be had."""
    found = entry.load()
    try:
        return found, model_of(found)
    except Exception as error:  # the boundary to code that is not ours
        raise PluginLoadError(f"{entry.name!r} has a factory whose options cannot be read: {error}") from error


def build(entry: Entry, data: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> Problem[Any]:
    """The problem that the entry's factory makes from the local folder or file `data` and the options.

    Its name is the entry's, and `Problem.options` holds every option that is not None. Raises OptionError for options that do
    not exist or fit and for a path that the problem has no use for, DataError for a path that is missing.
    """
    make, model = factory(entry)
    resolved = resolve(model, options, entry.name)
    arguments = {name: getattr(resolved, name) for name in type(resolved).model_fields}
    place = inspect.signature(make).parameters.get("data")
    if data is not None:
        if place is None:
            raise OptionError(f"{entry.name} brings its own data: leave --data {os.fspath(data)} out")
        arguments["data"] = Path(data).expanduser()
        if not arguments["data"].exists():
            raise DataError(f"{entry.name}: nothing at {data}: --data is the folder or file that holds the data set")
    elif place is not None and place.default is place.empty:
        raise DataError(f"{entry.name} needs its data: give the folder or file that holds it as --data PATH")
    problem = make(**arguments)
    if not isinstance(problem, Problem):
        raise PluginLoadError(
            f"{entry.target} returned {type(problem).__name__}, and a problem's factory returns a Problem"
        )
    return replace(problem, name=entry.name, options=resolved.model_dump(mode="json", exclude_none=True))
