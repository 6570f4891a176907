"""How the plugin's methods begin: on which problems, from which rows, and with a set of another parametrization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from torch import Tensor

    from ddcore.methods.plan import Stage, Work
    from ddcore.parametrizations import Selected, Synthetic
    from ddcore.problem import Problem

__all__ = ["Begin", "of_sound", "real_rows"]


def of_sound(problem: Problem[Any]) -> str | None:
    """Why a method refuses a problem that is not of audio."""
    from ..sound import Sound

    return None if isinstance(problem.synthetic, Sound) else "its rows are no sounds"


@dataclass(frozen=True)
class Begin:
    """The set that updates start from: of the rows that an earlier stage selected, or of noise."""

    make: Callable[[Work[Any], Tensor | None], Synthetic[Any]]

    def run(self, work: Work[Any]) -> None:
        """Leaves the set."""
        start = None if work.synthetic is None else work.synthetic.batch(rng=work.rng("decode")).x
        work.synthetic = self.make(work, start).to(work.problem.device)


def real_rows(start: str, times: int = 1) -> tuple[Stage, ...]:
    """The stage that picks `times` as many random real rows as the budget has; none for `noise`."""
    from ddcore.methods.plan import Select

    return () if start == "noise" else (Select(partial(_drawn, times)),)


def _drawn(times: int, problem: Problem[Any], counts: Mapping[int, int], rng: Random) -> Selected[Any]:
    """Without replacement as far as the rows of a class go; then they come again."""
    from ddcore.parametrizations import Selected

    chosen = {}
    for c, n in counts.items():
        ids = list(problem.data.ids(c))
        found = rng.sample(ids, min(times * n, len(ids)))
        chosen[c] = [found[i % len(found)] for i in range(times * n)]
    return Selected(problem.data, chosen)
