"""ddcore: dataset distillation for any modality, by plugins."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import Artifact, open
    from .budget import Budget
    from .comparison import compare
    from .distillation import distill
    from .estimation import estimate
    from .evaluation import evaluate
    from .importers import import_set
    from .plugins import load
    from .problem import DataSource, Output, Problem, Task
    from .recipes import Recipe
    from .report import Report

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Budget",
    "DataSource",
    "Output",
    "Problem",
    "Recipe",
    "Report",
    "Task",
    "compare",
    "distill",
    "estimate",
    "evaluate",
    "import_set",
    "load",
    "open",
]

_HOMES = {
    "Artifact": "artifact",
    "Budget": "budget",
    "DataSource": "problem",
    "Output": "problem",
    "Problem": "problem",
    "Recipe": "recipes",
    "Report": "report",
    "Task": "problem",
    "compare": "comparison",
    "distill": "distillation",
    "estimate": "estimation",
    "evaluate": "evaluation",
    "import_set": "importers",
    "load": "plugins",
    "open": "artifact",
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first asked for, so that `ddcore plugins` answers without importing torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ddcore' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
