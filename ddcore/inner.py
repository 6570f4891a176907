"""The inner loop, in one place: `grads`, `fit` (no graph kept), `unroll` (differentiable in the synthetic set)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .errors import OptionError, choices
from .parametrizations.base import Synthetic
from .problem import Problem
from .recipes import Rule
from .seeds import torch_seeded

__all__ = ["Memory", "fit", "frozen_statistics", "grads", "optimiser", "trainable", "unroll"]
B = TypeVar("B")
Memory = Literal["graph", "checkpoint", "replay"]
SLOTS: Mapping[Rule, int] = {"sgd": 0, "momentum": 1, "adam": 2}
"""Inner rules that are unrolled, and what each remembers of a parameter."""


def trainable(net: nn.Module) -> list[nn.Parameter]:
    """The parameters that require grad: a frozen embedding table is no part of theta."""
    return [p for p in net.parameters() if p.requires_grad]


def grads(loss: Tensor, params: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor | None]:
    """d loss / d params; None where the batch bypasses a parameter (an embedding table)."""
    return list(torch.autograd.grad(loss, params, create_graph=create_graph, allow_unused=True))


def optimiser(net: nn.Module, rule: Rule = "momentum", lr: float = 0.01, **options: Any) -> torch.optim.Optimizer:
    """Torch's optimiser of that rule over the network's trainable parameters; momentum is 0.9."""
    if rule == "adam":
        return torch.optim.Adam(trainable(net), lr=lr, **options)
    if rule == "adamw":
        return torch.optim.AdamW(trainable(net), lr=lr, **options)
    return torch.optim.SGD(trainable(net), lr=lr, momentum=0.9 if rule == "momentum" else 0.0, **options)


def fit(
    problem: Problem[B],
    net: nn.Module,
    batches: Iterable[tuple[B, Tensor]],
    opt: torch.optim.Optimizer,
    lr: float | Callable[[int], float] | None = None,
) -> nn.Module:
    """Trains `net` in place on (batch, step size) pairs; `lr`, a number or a function of the step, overrides the pairs' own.
    The set's rows, labels and step sizes are constants here: none of their grads is touched."""
    net.train()
    batches, params = iter(batches), [p for group in opt.param_groups for p in group["params"]]
    t = 0
    while True:
        with torch.no_grad():
            pair = next(batches, None)
        if pair is None:
            return net
        for group in opt.param_groups:
            group["lr"] = float(pair[1]) if lr is None else lr(t) if callable(lr) else lr
        opt.zero_grad()
        torch.autograd.backward(problem.loss(net, pair[0]), inputs=params)
        opt.step()
        t += 1


@contextmanager
def frozen_statistics(net: nn.Module, batch: Callable[[], Any]) -> Iterator[None]:
    """BatchNorm with the statistics of one batch of real rows, held still: class-wise batches would each bring their own
    (DC, Zhao et al. 2021, section 4). Other layers stay as they are; without BatchNorm no batch is drawn."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        yield
        return
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # the plain mean over what comes, here one batch
        m.train()
    with torch.no_grad():
        net(batch())
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
        m.eval()
    try:
        yield
    finally:
        for m in norms:
            m.train()


def unroll(
    problem: Problem[B],
    net: nn.Module,
    start: Mapping[str, Tensor],
    synthetic: Synthetic[B],
    *,
    steps: int,
    seed: int,
    first: int = 0,
    size: int | None = None,
    rule: Rule = "sgd",
    burn_in: int = 0,
    memory: Memory = "graph",
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> dict[str, Tensor]:
    """theta after training steps first .. first + steps - 1 of the set from `start`, differentiable in the set and in `start`.

    Only parameters that some step touched are returned. `memory`: "graph" keeps every step's graph; "checkpoint" recomputes
    one step at a time; "replay" keeps theta and the rule's slots of each step, of long trainings of 32 to 64 of them, and no
    graph (exact, first order). The first
    `burn_in` of the steps are not differentiated and nothing of them is kept; the rule's slots go on from there, so that the
    rest is a truncated window of one training. Under `torch.no_grad()` all are like that.

    Adam divides by sqrt(v + eps^2), where torch divides by sqrt(v) + eps: inside the root it is differentiable at v = 0, and
    the two agree as eps goes to 0. Raises OptionError for another rule.
    """
    if rule not in SLOTS:
        raise OptionError(f"no differentiable inner loop by {rule!r}.{choices(rule, SLOTS)}")
    names, slots = list(start), SLOTS[rule]
    touched: set[str] = set()

    def step(
        t: int, state: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:  # state: theta, then each slot, in the order of names
        graph, n = torch.is_grad_enabled(), len(names)
        batch, eta = synthetic.train_batch(problem, t, seed, size)
        with torch.enable_grad(), torch_seeded(seed, "inner", t):  # dropout is the same when a step is computed again
            theta = [x if graph and x.requires_grad else x.detach().requires_grad_() for x in state[:n]]
            g = grads(problem.loss(net, batch, dict(zip(names, theta, strict=True))), theta, create_graph=graph)
        new = [list(state[i * n : (i + 1) * n]) for i in range(slots + 1)]
        for j, d in enumerate(g):
            if d is None:
                continue
            touched.add(names[j])
            if rule == "momentum":
                d = new[1][j] = betas[0] * new[1][j] + d
            elif rule == "adam":
                new[1][j] = betas[0] * new[1][j] + (1 - betas[0]) * d
                new[2][j] = betas[1] * new[2][j] + (1 - betas[1]) * d * d
                k = t - first + 1
                d = new[1][j] / (1 - betas[0] ** k) / ((new[2][j] / (1 - betas[1] ** k) + eps**2).sqrt())
            new[0][j] = new[0][j] - eta * d
        return tuple(x for group in new for x in group)

    state: Sequence[Tensor] = [*start.values(), *(torch.zeros_like(x) for _ in range(slots) for x in start.values())]
    with torch.no_grad():
        for t in range(first, first + burn_in):
            state = step(t, state)
    state = [x if x.requires_grad or i >= len(names) else x.detach().requires_grad_() for i, x in enumerate(state)]
    window = range(first + burn_in, first + steps)
    if memory == "replay" and torch.is_grad_enabled():
        end: Sequence[Tensor] = _Replay.apply(  # type: ignore[no-untyped-call]
            step, window, len(state), *state, *synthetic.leaves()
        )
    else:
        end = state
        for t in window:
            remember = memory == "checkpoint" and torch.is_grad_enabled()
            end = checkpoint(step, t, end, use_reentrant=False) if remember else step(t, end)
    return {k: x for k, x in zip(names, end, strict=False) if k in touched}


class _Replay(torch.autograd.Function):
    """Reverse mode through a loop, one step's graph at a time. The set's leaves are inputs, so that a plain loss on the
    result has dL/dS; batches stay opaque. Of a long loop every n-th state is kept, and those between are computed again."""

    kept = 32  # states, and fewer than twice as many; of a shorter loop all

    @staticmethod
    def forward(ctx: Any, step: Any, times: range, n: int, *inputs: Tensor) -> tuple[Tensor, ...]:
        every = max(len(times) // _Replay.kept, 1)
        ctx.step, ctx.leaves, ctx.stretches = step, inputs[n:], []  # (times, the state before them)
        state = tuple(x.detach() for x in inputs[:n])
        for i, t in enumerate(times):
            if i % every == 0:
                ctx.stretches.append((times[i : i + every], state))
            state = tuple(x.detach() for x in step(t, state))
        return tuple(x.clone() for x in state)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *lam: Tensor) -> tuple[Tensor | None, ...]:  # lam: dL/d(state after the last step)
        total: list[Tensor | None] = [None] * len(ctx.leaves)
        for times, before in reversed(ctx.stretches):
            states = [before]
            for t in times[:-1]:
                states.append(tuple(x.detach() for x in ctx.step(t, states[-1])))
            for t, state in zip(reversed(times), reversed(states), strict=True):
                with torch.enable_grad():
                    state = [x.detach().requires_grad_() for x in state]
                    new = ctx.step(t, state)
                wanted = [*state, *ctx.leaves]
                d = torch.autograd.grad(new, wanted, grad_outputs=lam, allow_unused=True)
                lam = tuple(torch.zeros_like(x) if g is None else g for x, g in zip(state, d, strict=False))
                fresh = d[len(state) :]
                total = [a if g is None else g if a is None else a + g for a, g in zip(total, fresh, strict=True)]
        return (None, None, None, *lam, *total)
