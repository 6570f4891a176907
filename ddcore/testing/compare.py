"""What the checks compare: batches, gradients, and what does not depend on the global generators."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..parametrizations.base import Synthetic
from ..problem import Output, Problem, tensors
from ..seeds import torch_seeded

__all__ = ["assert_close", "constant", "disturbed", "gradient", "output", "same"]


def output(net: nn.Module, batch: Any, complaint: str) -> Output:
    """What the network answers; an AssertionError with the complaint where it cannot read the batch."""
    try:
        out: Output = net(batch)
    except Exception as error:
        raise AssertionError(f"{complaint}: {type(error).__name__}: {error}") from error
    return out


def constant(problem: Problem[Any], mean: Tensor, batch: Any) -> Output:  # mean (k,)
    """The same answer for every row of the batch."""
    logits = mean.expand(len(problem.task.targets(batch)), -1)
    return Output(logits, torch.zeros(len(logits), 1, device=logits.device))


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Two batches with the same fields and values."""
    x, y = dict(tensors(a)), dict(tensors(b))
    return x.keys() == y.keys() and all(
        x[k].shape == y[k].shape and torch.allclose(x[k], y[k], rtol=tolerance, atol=tolerance) for k in x
    )


@contextmanager
def disturbed(seed: int) -> Iterator[None]:
    """The global generators in some other state, and put back afterwards."""
    state = random.getstate()
    random.seed(seed)
    with torch_seeded("disturbed", seed):
        yield
    random.setstate(state)


def gradient(synthetic: Synthetic[Any], loss: Tensor | None) -> list[Tensor]:
    """dL/dS of one update, whichever way an objective hands it over."""
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss, inputs=synthetic.leaves())
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in synthetic.leaves()]
    synthetic.zero_grad(set_to_none=True)
    return found


def assert_close(a: Sequence[Tensor], b: Sequence[Tensor], tolerance: float = 1e-3) -> None:
    """Two gradients are alike, and not zero."""
    assert any(x.any() for x in a), "the gradient is zero"
    for x, y in zip(a, b, strict=True):
        assert torch.allclose(x, y, rtol=tolerance, atol=tolerance * float(y.abs().max()))
