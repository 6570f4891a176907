"""The one hook, and the record it returns."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import PluginLoadError
from .marker import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["API", "Entry", "KINDS", "Kind", "ddcore_entries"]

API = 1
"""The plugin API. A plugin's entry module says `ddcore_api = 1`; another number is refused with advice."""

Kind = Literal["problem", "method", "objective", "parametrization", "model", "kernel", "recipe", "exporter", "importer"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Entry:
    """A named thing that a plugin offers; nothing is imported until `load()`."""

    kind: Kind
    name: str  # "image/digits": the modality comes first, so that plugins do not collide
    target: str  # "ddcore_image.problems:digits"
    summary: str  # one line
    offline: bool = False  # problems: loads with neither network nor --data
    default: bool = False  # problems: the one to try first; one per modality

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"entry {self.name!r} has kind {self.kind!r}; the kinds are {', '.join(KINDS)}")
        module, _, attribute = self.target.partition(":")
        if not module or not attribute:
            raise ValueError(f"entry {self.name!r} has target {self.target!r}; expected 'package.module:attribute'")
        if self.kind == "problem" and not self.modality:
            raise ValueError(f"the problem {self.name!r} has no modality in its name; expected 'modality/{self.name}'")

    @property
    def modality(self) -> str:
        """The part before the slash; empty for what serves every modality."""
        return self.name.partition("/")[0] if "/" in self.name else ""

    def load(self) -> Any:
        """What the target names. Raises PluginLoadError where it cannot be imported, and where a method is none."""
        module, _, attribute = self.target.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:  # the boundary to code that is not ours; the cause stays attached
            raise PluginLoadError(
                f"{self.name!r} could not be loaded from {self.target}: {type(error).__name__}: {error}"
            ) from error
        if self.kind == "method":
            from ..methods.base import Method

            if not isinstance(found, Method):
                raise PluginLoadError(
                    f"{self.target} is of type {type(found).__name__}, and {self.name!r} needs a Method"
                )
        return found


@hookspec
def ddcore_entries() -> Iterable[Entry]:
    """Yields what the plugin provides. A whole plugin module, named by the entry point
    `[project.entry-points.ddcore] series = "ddcore_series.plugin"`:

        from ddcore.plugins import Entry, hookimpl

        ddcore_api = 1

        @hookimpl
        def ddcore_entries():
            yield Entry("problem", "series/waves", "ddcore_series.problems:waves", "Three kinds of noisy waves.")
    """
    return ()
