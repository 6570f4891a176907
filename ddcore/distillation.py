"""Distillation: a method, or an objective of one's own, on a problem; what comes out is an artifact."""

from __future__ import annotations

import contextlib
import copy
import shutil
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Literal

import torch

from . import checkpoint
from .artifact import Artifact
from .budget import Budget
from .devices import peak_memory, resolve_device
from .distributed import rank
from .errors import ArtifactError, BudgetError, Diverged, OptionError, expect
from .loop import Callback, Objective
from .methods.base import Method
from .methods.coresets import starting_rows
from .methods.plan import Plan, Synthesise, Work
from .options import to_toml
from .parallel import Backend
from .parametrizations.base import Selected, Synthetic
from .plugins import installed
from .problem import Problem

__all__ = ["distill", "plan", "resolve_method"]

CHECKPOINT_SECONDS = 20.0


def resolve_method(method: str | Method, problem: Problem[Any]) -> Method:
    """The method of that name; a bare name is looked up in the problem's modality first, then in the core."""
    if isinstance(method, Method):
        return method
    found: Method = installed().find("method", method, problem.name.partition("/")[0]).load()
    return found


def plan(
    problem: Problem[Any],
    method: str | Method,
    budget: Budget,
    preset: str = "quick",
    options: Mapping[str, Any] | None = None,
) -> tuple[Plan, dict[str, Any]]:
    """The stages of a method on a problem, and its record: name, preset, resolved options, paper."""
    chosen = resolve_method(method, problem)
    counts = budget.counts(problem.data, problem.class_names)
    resolved = chosen.resolve(problem, counts, preset, options)
    record = {"name": chosen.name, "preset": preset, "options": resolved.model_dump(mode="json"), "paper": chosen.paper}
    return chosen.plan(problem, counts, resolved), record


def distill(
    problem: Problem[Any],
    method: str | Method | None = None,
    *,
    ipc: int | None = None,
    ratio: float | None = None,
    ratio_of: Literal["labelled", "all"] = "labelled",
    bytes: int | None = None,
    objective: Objective | None = None,
    synthetic: Synthetic[Any] | None = None,
    optimiser: Callable[[Any], torch.optim.Optimizer] | None = None,
    steps: int | None = None,
    preset: str = "quick",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    data: str | Path | None = None,
    jobs: int = 1,
    backend: Backend = "loky",
    progress: Callable[[str, int, int], None] | None = None,
) -> Artifact:
    """Distils a problem into a budget of `ipc` rows per class, a `ratio` of the rows, or `bytes`.

    Either a `method` by name, with its `preset`, `options` and `steps`; or an `objective` with `steps`, an `optimiser`
    (parameter groups -> torch optimiser; Adam 0.01 by default) and a `synthetic` set to start from, which stays as it is
    and is its own budget (random real rows of the problem's own parametrization by default). With `out`, the artifact is
    saved there; until then checkpoints go to `OUT.partial`, from which `resume=True` goes on to the result of an
    uninterrupted run, bit for bit.

    Experts that a method needs and that are not cached yet are trained first, by `jobs` processes of this machine or, with
    `backend="ray"`, of a Ray cluster; `progress(what, done, total)` is told how far that is.

    Raises UnknownName, OptionError, BudgetError, NotSupported, and Diverged, whose `artifact` holds the last good state.
    """
    if (method is None) == (objective is None):
        raise OptionError("give either a method by name or an objective, not both and not neither")
    expect("problem", problem, Problem, "a problem: ddcore.load(NAME) makes one")
    expect("method", method, (str, Method, NoneType), "a method's name")
    expect("preset", preset, str, "a preset's name")
    expect("options", options, (Mapping, NoneType), "a mapping, such as {'lr': 0.1}")
    expect("seed", seed, int, "an integer")
    expect("out", out, (str, PathLike, NoneType), "a folder")
    if resume and out is None:
        raise OptionError("resume=True goes on from the checkpoints of out=: name the folder")
    if method is not None and (synthetic is not None or optimiser is not None):
        raise OptionError("synthetic= and optimiser= go with objective=: a method brings its own")
    if objective is not None and options:
        raise OptionError("options= are a method's: give the objective its own when you make it")
    device_ = resolve_device(device)
    problem = problem.to(device_)
    if synthetic is not None and (ipc, ratio, bytes) == (None, None, None):
        counts: Mapping[int, int] = synthetic.counts
        described: Mapping[str, Any] = {"rows": sum(counts.values())}
    else:
        budget = Budget(ipc, ratio, bytes, ratio_of)
        counts, described = budget.counts(problem.data, problem.class_names), budget.describe()
        if synthetic is not None and synthetic.counts != counts:
            have, asked = sum(synthetic.counts.values()), sum(counts.values())
            raise BudgetError(f"the set has {have} rows and the budget asks for {asked}: leave the budget out")
    given = dict(options or {})
    if method is not None:
        if steps is not None:
            given["steps"] = steps
        stages, record = plan(problem, method, budget, preset, given)
    else:
        assert objective is not None
        if steps is None:
            raise OptionError("an objective of one's own needs steps=, the number of updates")
        stages = _own_plan(objective, steps, optimiser, synthetic)
        record = {"name": type(objective).__name__, "preset": None, "options": {"steps": steps}, "paper": ""}

    run = to_toml(
        {
            "problem": problem.name,
            "method": record["name"],
            "preset": record["preset"],
            "seed": seed,
            "device": device_.type,
            "data": None if data is None else str(Path(data).resolve()),
            "budget": described,
            "options": record["options"],
            "problem_options": dict(problem.options),
        }
    )
    partial_ = None if out is None else _Partial(Path(out), run, resume=resume, overwrite=overwrite)
    if partial_ is not None and partial_.finished is not None:
        return partial_.finished

    def result(synthetic: Synthetic[Any], history: Sequence[Mapping[str, float]]) -> Artifact:
        return Artifact.of(problem, synthetic, method=record, budget=described, seed=seed, history=history)

    work = Work(
        problem,
        counts,
        seed,
        synthetic=synthetic if isinstance(synthetic, Selected | None) else copy.deepcopy(synthetic).to(device_),
        callbacks=callbacks,
        checkpoint=None if partial_ is None else partial_.write,
        resume=None if partial_ is None else partial_.read(),
        jobs=jobs,
        backend=backend,
        progress=progress,
    )
    began = time.perf_counter()
    try:
        with contextlib.nullcontext() if partial_ is None else partial_:
            distilled = work.perform(stages)
    except Diverged as error:
        if work.synthetic is not None:
            error.artifact = result(work.synthetic, work.history)
        raise
    artifact = result(distilled, work.history)
    if partial_ is None:
        return artifact
    seconds, memory = round(time.perf_counter() - began, 3), peak_memory(device_)
    cost = {"seconds": seconds, "device": str(device_), "peak_memory": memory}
    return partial_.finish(artifact, cost)


def _own_plan(
    objective: Objective,
    steps: int,
    optimiser: Callable[[Any], torch.optim.Optimizer] | None,
    start: Synthetic[Any] | None,
) -> Plan:
    stage = Synthesise(objective, steps, optimiser or partial(torch.optim.Adam, lr=0.01))
    return Plan((stage,) if start is not None else (*starting_rows("real"), stage))


class _Partial:
    """`OUT.partial`: the resolved options and the last checkpoint, one of each process, of a run that is under way. What
    fails before its first checkpoint leaves nothing; what is stopped by hand leaves its options."""

    def __init__(self, out: Path, run: str, *, resume: bool, overwrite: bool) -> None:
        if not out.name:  # the current folder, or the root
            raise ArtifactError(f"{str(out)!r} names no new folder: give one as --out, such as --out digits-dm-10")
        self.out, self.run, self.overwrite = out, run, overwrite
        self.folder = out.with_name(out.name + ".partial")
        self.checkpoint = self.folder / f"checkpoint-{rank()}"
        self.finished: Artifact | None = None
        self.last = time.monotonic()
        if out.exists():
            from .artifact import open as open_artifact

            if resume and _text(out / "run.toml") == run:
                self.finished = open_artifact(out)
                return
            if not overwrite:
                raise ArtifactError(f"{out} is there already: choose another --out, or remove it first")
        before = _text(self.folder / "run.toml") if resume else None
        if before is not None:
            if before != run:
                raise OptionError(
                    f"{self.folder} is of another run ({_difference(before, run)}): resume as it was started, or start anew "
                    "without --resume"
                )
        elif rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._guarded(self._start)

    def _start(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "run.toml").write_text(self.run, "utf-8")

    def _guarded(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ArtifactError(
                f"cannot write to {self.folder}: {reason}. Free some space or choose another --out"
            ) from error

    def __enter__(self) -> None:
        pass

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed and issubclass(failed, Exception) and not any(self.folder.glob("checkpoint-*")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """A checkpoint, at most every 20 seconds."""
        if time.monotonic() - self.last >= CHECKPOINT_SECONDS:
            self._guarded(lambda: checkpoint.save(self.checkpoint, snapshot()))
            self.last = time.monotonic()

    def read(self) -> Mapping[str, Any] | None:
        """The last checkpoint, where there is one."""
        if not self.checkpoint.exists():
            return None
        found: Mapping[str, Any] = checkpoint.load(self.checkpoint)
        return found

    def finish(self, artifact: Artifact, cost: Mapping[str, Any]) -> Artifact:
        """Saves the artifact, on the first of several processes; the checkpoints are no longer needed."""
        if rank() > 0:
            return artifact
        saved = artifact.save(self.out, overwrite=self.overwrite, run=self.run, cost=cost)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
        return saved


def _text(file: Path) -> str | None:
    """What is in the file, where there is one."""
    return file.read_text("utf-8", "replace") if file.is_file() else None


def _difference(before: str, now: str) -> str:
    """Of two runs in TOML, by setting: what it was and what it is."""
    a, b = (_flat(tomllib.loads(run)) for run in (before, now))
    keys = [key for key in {**a, **b} if a.get(key) != b.get(key)]
    said = [f"{key} was {a.get(key, 'not given')}, is {b.get(key, 'not given')}" for key in keys[:6]]
    return "; ".join(said) + ("" if len(keys) <= 6 else f"; and {len(keys) - 6} more")


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat
