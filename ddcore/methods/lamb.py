"""LAMB: Adam's direction, as long as the parameter itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["LAMB"]


class LAMB(torch.optim.Optimizer):
    r"""You et al., ICLR 2020, algorithm 2, without weight decay and with phi the identity; torch has none:

        r = \hat m / (\sqrt{\hat v} + \epsilon),    x \leftarrow x - lr \frac{|x|}{|r|} r

    per tensor; the ratio is 1 where |x| or |r| is 0. Defaults are optax's, which FRePo uses.
    """

    def __init__(
        self, params: Any, lr: float = 3e-4, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every tensor that has a gradient."""
        found = None
        if closure is not None:
            with torch.enable_grad():
                found = closure()
        for group in self.param_groups:
            for x in group["params"]:
                if x.grad is not None:
                    r = self._direction(x, x.grad, group["betas"], group["eps"])
                    ratio = x.norm() / r.norm()
                    x -= group["lr"] * torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0) * r
        return found

    def _direction(self, x: Tensor, g: Tensor, betas: tuple[float, float], eps: float) -> Tensor:
        """Adam's, from the moments of the gradient."""
        (b1, b2), state = betas, self.state[x]
        if not state:
            state |= {"step": 0, "m": torch.zeros_like(x), "v": torch.zeros_like(x)}
        state["step"] += 1
        t = state["step"]
        m: Tensor = state["m"].lerp_(g, 1 - b1)
        v: Tensor = state["v"].lerp_(g.square(), 1 - b2)
        r: Tensor = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
        return r
