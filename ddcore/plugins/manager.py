"""The manager: loads each plugin apart from the others, and answers by name."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import NoneType
from typing import TYPE_CHECKING, Any

import pluggy

from .. import __version__
from ..errors import PluginConflictError, PluginLoadError, UnknownName, choices, expect
from . import spec
from .marker import GROUP
from .spec import API, Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..problem import Problem

__all__ = ["Plugin", "Plugins", "installed", "load"]

FIRST_PARTY = ("audio", "graph", "image", "recommender", "text")


@dataclass(frozen=True)
class Plugin:
    """One distribution's entry point: what it provides, or why it does not."""

    name: str
    distribution: str
    version: str
    entries: tuple[Entry, ...] = ()
    error: str = ""  # "" when it loaded; a reason otherwise

    @property
    def status(self) -> str:
        """`ok`, or the reason."""
        return self.error or "ok"


class Plugins:
    """The core and what is installed beside it.

    Third-party failure is data to report: an import error, a typo in a hook, a hook that raises or another plugin API
    number is recorded in `Plugin.error`, and the others go on. A full name that two plugins provide is in `conflicts`;
    it belongs to neither, and only asking for it is an error.
    """

    def __init__(self, found: Iterable[EntryPoint], *, block: Iterable[str] = (), only: Iterable[str] = ()) -> None:
        block, only = {_canonical(n) for n in block}, {_canonical(n) for n in only}
        from .. import builtin  # a plugin like any other: it imports this package

        core = Plugin("core", "ddcore", __version__, _entries(builtin))
        others = sorted(found, key=lambda point: (point.name, point.value))
        self.plugins = (core, *(_load(point, block, only) for point in others))
        owners: dict[tuple[Kind, str], list[Plugin]] = {}
        for plugin in self.plugins:
            for entry in plugin.entries:
                owners.setdefault((entry.kind, entry.name), []).append(plugin)
        self.conflicts: Mapping[tuple[Kind, str], str] = {
            key: _conflict(*key, plugins) for key, plugins in owners.items() if len(plugins) > 1
        }

    def entries(self, kind: Kind | None = None) -> tuple[Entry, ...]:
        """All entries (of a kind) that can be asked for: of the plugins that loaded, without the names in conflict."""
        found = (entry for plugin in self.plugins for entry in plugin.entries if kind in (None, entry.kind))
        return tuple(entry for entry in found if (entry.kind, entry.name) not in self.conflicts)

    def find(self, kind: Kind, name: str, modality: str = "") -> Entry:
        """The entry of that name. A bare name is looked up in the modality first, then in the core.

        Raises UnknownName with close matches, PluginConflictError for a name that two plugins provide, and
        PluginLoadError for one whose plugin did not load.
        """
        known = {entry.name: entry for entry in self.entries(kind)}
        for full in ([f"{modality}/{name}"] if modality and "/" not in name else []) + [name]:
            if (kind, full) in self.conflicts:
                raise PluginConflictError(self.conflicts[kind, full])
            if full in known:
                return known[full]
        raise self._unknown(kind, name, modality, known)

    def _unknown(self, kind: Kind, name: str, modality: str, known: Mapping[str, Entry]) -> Exception:
        prefix = name.partition("/")[0] if "/" in name else ""
        for plugin in self.plugins:
            if plugin.error and prefix in (plugin.name, plugin.distribution.removeprefix("ddcore-")):
                return PluginLoadError(f"{name!r} belongs to {plugin.distribution}, which did not load: {plugin.error}")
        if prefix in FIRST_PARTY and all(plugin.name != prefix for plugin in self.plugins):
            return UnknownName(f"no {kind} {name!r} is installed: pip install ddcore-{prefix}")
        if elsewhere := sorted(n for n in known if n.rpartition("/")[2] == name and n != name):
            fields = ", ".join(n.partition("/")[0] for n in elsewhere)
            return UnknownName(f"no {kind} {name!r}. Did you mean {' or '.join(elsewhere)}, for problems of {fields}?")
        fits = [n for n in known if not modality or "/" not in n or n.startswith(f"{modality}/")]
        return UnknownName(f"no {kind} {name!r}.{choices(name, fits)}")


def _load(point: EntryPoint, block: set[str], only: set[str]) -> Plugin:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else (point.module, "")
    plugin = Plugin(point.name, distribution, version)
    names = {_canonical(point.name), _canonical(distribution)}
    if (names | {"*"}) & block:
        return replace(plugin, error="blocked by DDCORE_BLOCK_PLUGINS")
    if only and not names & only:
        return replace(plugin, error="not in DDCORE_LOAD_PLUGINS")
    try:
        return replace(plugin, entries=_entries(point.load()))
    except (
        Exception,
        SystemExit,
    ) as error:  # the boundary to code that is not ours: recorded, shown by `ddcore plugins`
        return replace(plugin, error=f"{type(error).__name__}: {error}")


def _entries(module: Any) -> tuple[Entry, ...]:
    """What one entry module provides, asked through a manager of its own, so that no plugin can disturb another."""
    api = getattr(module, "ddcore_api", None)
    if api is None:
        raise ValueError(f"it does not say which plugin API it is made for: add `ddcore_api = {API}`")
    if api != API:
        advice = "upgrade ddcore" if isinstance(api, int) and api > API else "upgrade the plugin"
        raise ValueError(f"made for plugin API {api}, and this ddcore has {API}: {advice}")
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(spec)
    manager.register(module)
    manager.check_pending()
    entries = [entry for batch in manager.hook.ddcore_entries() for entry in batch]
    if not entries:
        raise ValueError("it provides nothing: write `@hookimpl def ddcore_entries()` and yield Entry records")
    seen = set()
    for entry in entries:
        if not isinstance(entry, Entry):
            raise TypeError(f"ddcore_entries must yield Entry records, got {type(entry).__name__}")
        if (entry.kind, entry.name) in seen:
            raise ValueError(f"ddcore_entries yields the {entry.kind} {entry.name!r} twice")
        seen.add((entry.kind, entry.name))
    return tuple(entries)


def _conflict(kind: Kind, name: str, plugins: Iterable[Plugin]) -> str:
    both = " and ".join(plugin.distribution for plugin in plugins)
    blockable = " or ".join(f"DDCORE_BLOCK_PLUGINS={p.distribution}" for p in plugins if p.distribution != "ddcore")
    return f"{both} both provide the {kind} {name!r}: uninstall one, or set {blockable}"


def _canonical(name: str) -> str:
    """Distributions are written with hyphens and underscores alike."""
    return name.strip().lower().replace("_", "-")


@cache
def installed() -> Plugins:
    """The plugins of this environment.

    DDCORE_BLOCK_PLUGINS leaves some out (names of plugins or distributions, with commas; `*` is all),
    DDCORE_LOAD_PLUGINS all others. The core is always there. Read once a process.
    """

    def listed(variable: str) -> list[str]:
        return [name for name in os.environ.get(variable, "").split(",") if name.strip()]

    return Plugins(entry_points(group=GROUP), block=listed("DDCORE_BLOCK_PLUGINS"), only=listed("DDCORE_LOAD_PLUGINS"))


def load(name: str, /, data: str | os.PathLike[str] | None = None, **options: Any) -> Problem[Any]:
    """The problem of that name, from any installed plugin.

    `data` is the local folder or file where the set is not part of the install; `options` are the problem's own
    (`ddcore problems NAME` lists them). Raises UnknownName, DataError or OptionError.
    """
    from ..problems import build

    expect("the problem's name", name, str, "a name, such as 'image/digits'")
    expect("data", data, (str, os.PathLike, NoneType), "a folder or file")
    return build(installed().find("problem", name), data, options)
