"""Optimisers of a set: learning rates by parameter group, and gradients that are kept from jumping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["clipped", "directed", "per_group"]


def per_group(
    make: Callable[..., torch.optim.Optimizer], lr: Mapping[str, float], **options: Any
) -> Callable[[Any], torch.optim.Optimizer]:
    """An optimiser whose groups move at `lr[name]` ("rows", "labels", "step_size"); a set's other groups move like its rows.
    Another option may be such a mapping too."""
    differing = {"lr": lr, **{k: v for k, v in options.items() if isinstance(v, Mapping)}}
    common = {k: v for k, v in options.items() if k not in differing}

    def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        own = [{k: values.get(g["name"], values["rows"]) for k, values in differing.items()} for g in groups]
        return make([{**g, **values} for g, values in zip(groups, own, strict=True)], **common)

    return build


def clipped(
    make: Callable[[Any], torch.optim.Optimizer], most: float, decay: float = 0.9
) -> Callable[[Any], torch.optim.Optimizer]:
    """An optimiser that shortens a group's gradient to `most` times the moving average of its norm (RaT-BPTT, section 3.2). The
    average is kept in the group, so that a checkpoint has it."""
    import torch

    def clip(opt: torch.optim.Optimizer, *_: Any) -> None:
        for group in opt.param_groups:
            norms = [p.grad.norm() for p in group["params"] if p.grad is not None]
            if norms:
                norm = float(torch.stack(norms).norm())
                group["norm"] = norm if group["norm"] is None else decay * group["norm"] + (1 - decay) * norm
                torch.nn.utils.clip_grad_norm_(group["params"], most * group["norm"])

    def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        opt = make([{**group, "norm": None} for group in groups])
        opt.register_step_pre_hook(clip)
        return opt

    return build


def directed(make: Callable[[Any], torch.optim.Optimizer]) -> Callable[[Any], torch.optim.Optimizer]:
    """An optimiser that is given the direction of each group's gradient alone, of norm 1. Long trainings have a gradient in some
    updates that is a hundred times as long as in others, and Adam then hardly moves for as many updates."""
    import torch

    def direct(opt: torch.optim.Optimizer, *_: Any) -> None:
        for group in opt.param_groups:
            grads = [p.grad for p in group["params"] if p.grad is not None]
            if grads:
                length = torch.stack([g.norm() for g in grads]).norm()
                for g in grads:
                    g.div_(length.clamp_min(torch.finfo(g.dtype).tiny))

    def build(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        opt = make(groups)
        opt.register_step_pre_hook(direct)
        return opt

    return build
