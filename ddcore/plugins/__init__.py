"""Plugins: found by entry point, described by typed lazy records, isolated from each other. Imports no torch."""

from .manager import Plugin, Plugins, installed, load
from .marker import hookimpl
from .spec import API, Entry, Kind

__all__ = ["API", "Entry", "Kind", "Plugin", "Plugins", "hookimpl", "installed", "load"]
