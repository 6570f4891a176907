"""The loop: a run asks an objective for updates, and moves the set."""

from __future__ import annotations

import copy
import math
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

import torch
from torch import Tensor, nn

from .distributed import average, rank
from .errors import Diverged, ObjectiveExhausted, OptionError, choices
from .parametrizations.base import Synthetic
from .problem import Problem
from .seeds import stream, torch_seeded

__all__ = ["Callback", "Objective", "Run", "optimise"]
B = TypeVar("B")
T = TypeVar("T")
Snapshot = dict[str, Any]


class Run:
    """What an objective is given, and all that outlives an interruption."""

    def __init__(
        self,
        seed: int = 0,
        *,
        steps: int = 0,
        device: torch.device | None = None,
        resume: Mapping[str, Any] | None = None,
        earlier: int = 0,
    ) -> None:
        self.seed, self.steps, self.device = seed, steps, device or torch.device("cpu")
        self.earlier = earlier  # updates of the stages before
        self.step, self.rng = 0, stream(seed, "run", rank())
        self.state: dict[str, Any] = {}  # plain values, tensors, modules, optimisers: what must survive a network
        self.history: list[dict[str, float]] = []  # one record per step
        self.on_boundary: Callable[[], None] = lambda: None
        self._saved: dict[str, Any] = {}
        self._rng_state: Any = None
        if resume is not None:
            resume = copy.deepcopy(dict(resume))
            self.step, self.history, self._rng_state = resume["step"], resume["history"], resume["rng"]
            self._saved = {k: v for k, (live, v) in resume["state"].items() if live}
            self.state = {k: v for k, (live, v) in resume["state"].items() if not live}

    def keep(self, name: str, make: Callable[[random.Random], T]) -> T:
        """`run.state[name]`, made on first use; after a resume it is made anew and loads what it was."""
        if name not in self.state:
            made: Any = make(self.rng)
            if name in self._saved:
                made.load_state_dict(self._saved.pop(name))
            self.state[name] = made
        kept: T = self.state[name]
        return kept

    def boundary(self) -> None:
        """Everything outside `state` is disposable here. Call it at the top of the outer loop. A resumed run takes up its
        random stream at the first one, so that code before it may draw freely."""
        if self._saved:
            raise RuntimeError(f"saved but not rebuilt: {sorted(self._saved)}; make them with run.keep(name, make)")
        if self._rng_state is not None:
            self.rng.setstate(self._rng_state)
            self._rng_state = None
        self.on_boundary()
        torch.manual_seed(stream(self.seed, "boundary", self.step, rank()).getrandbits(63))

    def log(self, **values: float) -> None:
        """Values of this step for the history."""
        if len(self.history) <= self.step:
            self.history.append({})
        self.history[self.step].update(values)

    def snapshot(self) -> Snapshot:
        """What a resumed run needs, as plain values and tensors, detached from what goes on living."""
        live = {k: hasattr(v, "state_dict") for k, v in self.state.items()}
        state = {k: (live[k], v.state_dict() if live[k] else v) for k, v in self.state.items()}
        return copy.deepcopy({"step": self.step, "rng": self.rng.getstate(), "state": state, "history": self.history})


Callback = Callable[[Run], None]
"""Called after every step; `run.history[-1]` holds its values."""


class Objective(Protocol):
    """A generator of updates: its control flow is the paper's loop nest.

    Each yield is a scalar whose gradient moves the set; or a scalar without grad, which says that the objective has
    accumulated dL/dS in `.grad` itself; or None: no update now. Code after a yield runs after the update.
    """

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]: ...


def optimise(
    problem: Problem[B],
    synthetic: Synthetic[B],
    objective: Objective,
    *,
    steps: int,
    optimiser: Callable[[Any], torch.optim.Optimizer],
    seed: int = 0,
    moves: Callable[[int], Collection[str] | None] | None = None,
    schedule: Callable[[int], float] | None = None,
    averaging: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Callable[[Callable[[], Snapshot]], None] | None = None,
    resume: Mapping[str, Any] | None = None,
    earlier: int = 0,
) -> Run:
    """`steps` updates of the set, in place.

    `moves(step)` names the parameter groups that move (None: all); by default the set's own. `schedule(step)` multiplies every
    learning rate. With `averaging`, a decay below 1, the set ends as the moving average of its states. `checkpoint` is handed a
    function that takes a snapshot, at every boundary, and decides itself whether to call it; `resume` is such a snapshot,
    and the run that continues from it equals an uninterrupted one bit for bit. `earlier` is how many updates the stages before
    made, for callbacks. Raises Diverged when the loss or a gradient leaves the finite numbers, after the set was put back to its
    last good state.
    """
    run = Run(seed, steps=steps, device=problem.device, resume=resume, earlier=earlier)
    opt, leaves, moves = optimiser(synthetic.param_groups()), synthetic.leaves(), moves or synthetic.moves
    rates = [group["lr"] for group in opt.param_groups]
    averaged = None if averaging is None else _Average(leaves, averaging)
    if resume is not None:
        synthetic.load_state_dict(resume["synthetic"])
        opt.load_state_dict(copy.deepcopy(resume["optimiser"]))
        if averaged is not None:
            averaged.values = copy.deepcopy(resume["average"])

    def snapshot() -> Snapshot:
        state = {"synthetic": synthetic.state_dict(), "optimiser": opt.state_dict()}
        average_ = {} if averaged is None else {"average": averaged.values}
        return {**run.snapshot(), **copy.deepcopy({**state, **average_})}

    if checkpoint is not None:  # on every rank: each has its own stream and state
        run.on_boundary = lambda: checkpoint(snapshot)
    guard, silent = _Guard(synthetic, opt, run), _Silent(opt, type(objective).__name__)
    updates = objective.losses(problem, synthetic, run)
    with torch_seeded(
        seed, "start", rank()
    ):  # for objectives that call no boundary(); the caller's generator is left alone
        try:
            while run.step < steps:
                opt.zero_grad(set_to_none=True)  # before resuming: the objective may write .grad itself
                try:
                    loss = next(updates)
                except StopIteration:
                    raise ObjectiveExhausted(
                        f"{type(objective).__name__} ended at step {run.step} of {steps}"
                    ) from None
                if loss is None:
                    opt.zero_grad(set_to_none=True)
                else:
                    _backward(loss, synthetic, objective, leaves)
                    silent.check()
                value = average(None if loss is None else float(loss.detach()), leaves)
                if value is not None:
                    guard.check(run.step, value)
                    _hold_still(opt, moves(run.step))
                    if schedule is not None:
                        for group, lr in zip(opt.param_groups, rates, strict=True):
                            group["lr"] = lr * schedule(run.step)
                    opt.step()
                    with torch.no_grad():
                        synthetic.project()
                        if averaged is not None:
                            averaged.update()
                run.log(loss=math.nan if value is None else value)
                run.step += 1
                for callback in callbacks:
                    callback(run)
            guard.finish(run.step)
            if averaged is not None:
                averaged.take_over()
        finally:
            updates_close = getattr(updates, "close", None)
            if updates_close is not None:
                updates_close()
    return run


class _Average:
    """The moving average of a set's leaves (FTD, section 4.1)."""

    def __init__(self, leaves: list[nn.Parameter], decay: float) -> None:
        self.leaves, self.decay, self.values = leaves, decay, [p.detach().clone() for p in leaves]

    def update(self) -> None:
        for mean, p in zip(self.values, self.leaves, strict=True):
            mean.lerp_(p.detach(), 1 - self.decay)

    @torch.no_grad()
    def take_over(self) -> None:
        for mean, p in zip(self.values, self.leaves, strict=True):
            p.copy_(mean)


def _backward(loss: Tensor, synthetic: Synthetic[Any], objective: Objective, leaves: list[nn.Parameter]) -> None:
    name = type(objective).__name__
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"{name} yielded {what}: expected a scalar tensor, or None to skip")
    if loss.requires_grad:
        torch.autograd.backward(loss, inputs=leaves)  # nothing leaks into networks or adversaries
    if all(p.grad is None for p in leaves):
        what = (
            "loss that does not depend on the set" if loss.requires_grad else "scalar without grad and wrote no .grad"
        )
        raise ValueError(
            f"{name} yielded a {what}: yield a differentiable loss of synthetic.batch(...), accumulate dL/dS with "
            "backward(inputs=synthetic.leaves()), or yield None to skip"
        )
    penalty = synthetic.penalty()
    if penalty.requires_grad:
        torch.autograd.backward(penalty, inputs=leaves)


def _hold_still(opt: torch.optim.Optimizer, moving: Collection[str] | None) -> None:
    if moving is None:
        return
    groups = {group["name"]: group["params"] for group in opt.param_groups}
    for name in moving:
        if name not in groups:
            raise OptionError(f"no parameter group {name!r} in the set.{choices(name, groups)}")
    for name, params in groups.items():
        for p in params:
            p.grad = p.grad if name in moving else None  # a zero grad still moves under Adam


class _Silent:
    """Says once, after the first updates, which parameter groups an objective has given no gradient."""

    updates = 10

    def __init__(self, opt: torch.optim.Optimizer, objective: str) -> None:
        self.objective, self.seen = objective, 0
        self.waiting = {group["name"]: list(group["params"]) for group in opt.param_groups}

    def check(self) -> None:
        if self.seen == self.updates:
            return
        self.seen += 1
        self.waiting = {name: [p for p in params if p.grad is None] for name, params in self.waiting.items()}
        names = [name for name, params in self.waiting.items() if params]
        if self.seen == self.updates and names:
            warnings.warn(
                f"{self.objective} gave no gradient to {', '.join(names)} in its first {self.updates} updates: what is "
                "learnable there stays as it started. Choose an objective that depends on it (step sizes and labels need "
                "one that trains on the set), or keep it out of what is learned",
                stacklevel=3,
            )


class _Guard:
    """Stops a run that diverges, with the set as it last was good: copied twenty times a run."""

    growth = 1e6  # a loss this many times the first ones is no longer a descent

    def __init__(self, synthetic: Synthetic[Any], opt: torch.optim.Optimizer, run: Run) -> None:
        self.synthetic, self.opt, self.every = synthetic, opt, max(run.steps // 20, 1)
        self.good, self.good_step = copy.deepcopy(synthetic.state_dict()), run.step
        self.scale, self.seen = 0.0, 0

    def check(self, step: int, loss: float) -> None:
        grads = [p.grad for group in self.opt.param_groups for p in group["params"] if p.grad is not None]
        finite = math.isfinite(loss) and all(bool(g.isfinite().all()) for g in grads)
        if not finite or (self.seen >= 10 and abs(loss) > self.growth * self.scale > 0):
            what = "a gradient is not finite" if math.isfinite(loss) and not finite else f"the loss is {loss:g}"
            self._stop(step, what)
        if self.seen < 10:
            self.scale = max(self.scale, abs(loss))
        self.seen += 1
        if step % self.every == 0:
            self.good, self.good_step = copy.deepcopy(self.synthetic.state_dict()), step

    def finish(self, step: int) -> None:
        """No loss is asked for after the last update."""
        if not all(bool(p.isfinite().all()) for p in self.synthetic.leaves()):
            self._stop(step, "the set is not finite")

    def _stop(self, step: int, what: str) -> NoReturn:
        self.synthetic.load_state_dict(self.good)
        lr = ", ".join(f"{group['name']} {group['lr']:g}" for group in self.opt.param_groups)
        raise Diverged(
            f"diverged at step {step}: {what}. The set is back at step {self.good_step}, its last good state. "
            f"Lower the learning rate (now: {lr}) by a factor of 3 to 10, or start from real rows"
        )
