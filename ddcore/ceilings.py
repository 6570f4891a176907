"""Ceilings: what networks trained on all rows score, kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from .cache import cache_folder
from .problem import Problem
from .recipes import Recipe
from .seeds import stream
from .storage import write_text

__all__ = ["CEILING_SECONDS", "Ceiling"]

Values = Mapping[str, float]

CEILING_SECONDS = 60.0
"""Ceilings that are estimated to cost more are computed only when asked for."""


@dataclass
class Ceiling:
    """What networks trained on all rows scored, one seed after another, and the file that keeps it."""

    file: Path
    said: dict[str, str]  # of it, in the file
    values: list[Values]

    @classmethod
    def known(cls, problem: Problem[Any], recipe: Recipe, model: str, split: str) -> Self:
        """As it is cached; without values where it is not, or cannot be read."""
        shapes = [[n, *p.shape] for n, p in problem.new_model(stream("shapes"), model).named_parameters()]
        metrics = [m.name for m in problem.task.metrics]  # the same data may be judged in several ways
        key = json.dumps([problem.fingerprint(), metrics, asdict(recipe), model, shapes, split], sort_keys=True)
        file = cache_folder("ceilings") / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        said = {"problem": problem.name, "model": model, "what": f"{recipe.name} on {split}"}
        values: list[Values] = []
        with suppress(OSError, ValueError, KeyError, TypeError):
            values = list(json.loads(file.read_text())["values"])
        return cls(file, said, values)

    def missing(self, asked: int, seconds: Callable[[], float]) -> range:
        """The seeds to train: as many as are asked for, or one where there is none and it is cheap."""
        cheap = not asked and not self.values and seconds() < CEILING_SECONDS
        return range(len(self.values), max(asked, int(cheap)))

    def add(self, values: list[Values]) -> None:
        if values:
            self.values += values
            write_text(self.file, json.dumps({**self.said, "values": self.values}, indent=1) + "\n")
