"""The frame of every page: Jinja templates beside this file, strict about names, everything escaped."""

from __future__ import annotations

from typing import Any

from ..errors import NotSupported

__all__ = ["fill"]


def fill(template: str, **values: Any) -> str:
    """The page that the template makes of the values. NotSupported where Jinja is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise NotSupported("pages need Jinja and matplotlib: pip install 'ddcore[report]'") from error
    environment = Environment(
        loader=PackageLoader("ddcore.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bytes": _bytes, "duration": _duration}
    return environment.get_template(template).render(**values)


def _bytes(n: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:,.0f} {unit}" if unit == "bytes" else f"{n:,.1f} {unit}"
        n /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
