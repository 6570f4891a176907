"""Begin: a plan's stage that makes a set of another parametrization than the problem's plain one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.methods.plan import Stage, Work
    from ddcore.parametrizations import Synthetic

__all__ = ["Begin", "real_rows"]


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
    from ddcore.parametrizations import Selected

    if start == "noise":
        return ()
    return (
        Select(
            lambda problem, counts, rng: Selected.random(problem.data, {g: times * n for g, n in counts.items()}, rng)
        ),
    )
