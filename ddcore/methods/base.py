"""Method: a named recipe of the literature, with its paper's defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import NotSupported, OptionError, choices
from ..options import Options, resolve

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Plan

__all__ = ["Method", "Preset", "augmented", "fixed_labels", "siamese"]

Preset = Callable[["Problem[Any]", Mapping[int, int]], Mapping[str, Any]]
"""(problem, counts) -> the options that the preset sets; the others keep their defaults."""


def siamese(problem: Problem[Any], augment: str) -> str | None:
    """The augmentation that an option `augment` names for both sides; None for `none`.

    Raises NotSupported where the problem has none of that name.
    """
    if augment != "none" and augment not in problem.augmentations:
        raise NotSupported(f'{problem.name} has no augmentation {augment!r}: choose augment = "none"')
    return None if augment == "none" else augment


def augmented(problem: Problem[Any]) -> str:
    """The value of an option `augment`: siamese augmentation where the problem has one."""
    return "match" if "match" in problem.augmentations else "none"


def fixed_labels(problem: Problem[Any]) -> str | None:
    """Why a method that learns labels refuses this problem; None where its sets can."""
    import random

    from ..parametrizations.base import Synthetic

    made = problem.synthetic(dict.fromkeys(problem.data.groups, 1), None, random.Random(0))
    return "its sets cannot learn labels" if type(made).learn_labels is Synthetic.learn_labels else None


def _anywhere(problem: Problem[Any]) -> str | None:
    return None


@dataclass(frozen=True)
class Method:
    """What `--method NAME` means. Defaults of `options` are the paper's; `quick` is what runs unless asked otherwise: at most
    60 s on two cores at ipc 1 and 10 on a modality's offline default."""

    name: str
    summary: str
    family: str
    paper: str  # authors, title, venue, year
    options: type[Options]
    plan: Callable[[Problem[Any], Mapping[int, int], Any], Plan]
    """(problem, counts, resolved options) -> the stages"""
    presets: Mapping[str, Preset]  # "quick" and "paper"
    needs: tuple[str, ...] = ()
    """What it trains or reads beforehand ("experts", "teacher", "network"), or asks of a problem ("kernels", "augmentation")."""
    refuses: Callable[[Problem[Any]], str | None] = _anywhere
    """Why the method has no meaning on this problem; None where it has."""

    def resolve(
        self,
        problem: Problem[Any],
        counts: Mapping[int, int],
        preset: str = "quick",
        given: Mapping[str, Any] | None = None,
    ) -> Options:
        """The options that a run uses: what the user gave, over the preset's (of `quick`, over it, the problem's own), over the
        defaults."""
        if (reason := self.refuses(problem)) is not None:
            raise NotSupported(f"{self.name} has no meaning on {problem.name}: {reason}")
        if preset not in self.presets:
            raise OptionError(f"{self.name} has no preset {preset!r}.{choices(preset, self.presets)}")
        own = problem.quick.get(self.name, {}) if preset == "quick" else {}
        options = {**self.presets[preset](problem, counts), **own, **(given or {})}
        return resolve(self.options, options, f"method {self.name}")
