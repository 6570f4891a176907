"""Flat training: sharpness-aware gradients, after which a path of parameters forgets small errors sooner."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..inner import grads

__all__ = ["flat_gradients"]

EPS = 1e-12


def flat_gradients(
    net: nn.Module, params: Sequence[nn.Parameter], loss: Callable[[], Tensor], *, rho: float, alpha: float
) -> list[Tensor | None]:
    r"""The update direction of adaptive GSAM, for each parameter; None where the loss bypasses it.

    With g the gradient at theta, the loss is looked at again at \theta + \rho \theta^2 g / norm(\theta g), the worst place of a
    neighbourhood that is scaled by the parameters (Kwon et al., ASAM, ICML 2021). Its gradient h is what SAM follows
    (\alpha = 0; Foret et al., ICLR 2021); GSAM also climbs along the part of g that is orthogonal to h, which narrows the gap
    between the two losses: h - \alpha g_\perp (Zhuang et al., ICLR 2022, algorithm 1). FTD trains its experts so (Du et al.,
    CVPR 2023). The second look moves no buffer.
    """
    g = grads(loss(), params)
    moving = [(p, x) for p, x in zip(params, g, strict=True) if x is not None]
    with torch.no_grad():
        scale = rho / (_norm([p * x for p, x in moving]) + EPS)
        before, buffers = [p.clone() for p, _ in moving], [b.clone() for b in net.buffers()]
        for p, x in moving:
            p.add_(p * p * x * scale)
    try:
        h = grads(loss(), params)
    finally:
        with torch.no_grad():
            for (p, _), old in zip(moving, before, strict=True):
                p.copy_(old)
            for b, old in zip(net.buffers(), buffers, strict=True):
                b.copy_(old)
    pairs = [(x, y) for x, y in zip(g, h, strict=True) if x is not None and y is not None]
    along = torch.stack([(x * y).sum() for x, y in pairs]).sum() / (_norm([y for _, y in pairs]) ** 2 + EPS)
    return [y if x is None or y is None else y - alpha * (x - along * y) for x, y in zip(g, h, strict=True)]


def _norm(parts: Sequence[Tensor]) -> Tensor:  # ()
    return torch.stack([x.square().sum() for x in parts]).sum().sqrt()
