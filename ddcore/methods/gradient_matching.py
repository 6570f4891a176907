"""Gradient matching beyond DC and DSA: what is compared, on which networks, against which real rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .base import Method
from .dc import DSAOptions, along_training, loops

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Plan

__all__ = ["DCC", "DCCOptions"]


def _augment(problem: Problem[Any]) -> str:
    """Siamese augmentation where the problem has one."""
    return "match" if "match" in problem.augmentations else "none"


def _along_training_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """A few hundred updates, with the loops of DC and 64 real rows a class."""
    outer, inner = loops(counts)
    steps = 300 if outer == 1 else 150
    return {"steps": steps, "outer": outer, "inner": inner, "n_real": 64, "augment": _augment(problem)}


def _along_training_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """1,000 networks; inner and outer loops of DC by ipc."""
    outer, inner = loops(counts)
    return {"steps": 1000 * outer, "outer": outer, "inner": inner, "augment": _augment(problem)}


# ---------------------------------------------------------------------------------------------------------------------
# DCC


class DCCOptions(DSAOptions):
    """Gradients that are summed over classes. Defaults: DSA's, on which Lee et al. 2022 build (their DSAC)."""


def _dcc(problem: Problem[Any], counts: Mapping[int, int], options: DCCOptions) -> Plan:
    """DSA's plan; the classes' gradients are compared as one."""
    from ..objectives.gradient import ContrastiveMatching

    return along_training(problem, options, ContrastiveMatching)


DCC = Method(
    name="dcc",
    summary="Gradient matching of all classes' sum: what tells them apart.",
    family="gradient matching",
    paper="Lee, Chun, Jung, Yun and Yoon, Dataset Condensation with Contrastive Signals, ICML 2022",
    options=DCCOptions,
    plan=_dcc,
    presets={"quick": _along_training_quick, "paper": _along_training_paper},
)
