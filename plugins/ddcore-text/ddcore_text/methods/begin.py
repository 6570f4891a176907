"""Where a set begins that is not of its problem's plain parametrization, and how gradients are shortened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from ddcore.methods.plan import Work
    from ddcore.parametrizations import Synthetic

__all__ = ["Begin", "shortened"]


@dataclass(frozen=True)
class Begin:
    """A stage that leaves a set for the next one to learn."""

    make: Callable[[Work[Any]], Synthetic[Any]]

    def run(self, work: Work[Any]) -> None:
        """Leaves the set as `work.synthetic`."""
        work.synthetic = self.make(work).to(work.problem.device)


def shortened(make: Callable[[Any], torch.optim.Optimizer], most: float) -> Callable[[Any], torch.optim.Optimizer]:
    """An optimiser that shortens the gradient of all groups together to a norm of `most`."""
    import torch

    def shorten(opt: torch.optim.Optimizer, *_: Any) -> None:
        torch.nn.utils.clip_grad_norm_([p for group in opt.param_groups for p in group["params"]], most)

    def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        opt = make(groups)
        opt.register_step_pre_hook(shorten)
        return opt

    return build
