"""Comparison: problems x methods x budgets x distillations x networks, from one file. Every results table is made by it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import statistics
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

from joblib import delayed
from pydantic import Field, PositiveInt

from .artifact import Artifact
from .artifact import open as open_artifact
from .budget import Budget, in_words
from .devices import resolve_device
from .distillation import distill, plan
from .errors import ArtifactError, BudgetError, DataError, Diverged, NotSupported, OptionError
from .evaluation import check, recipe_of, score, train
from .intervals import Difference, Mean, unpaired
from .loop import Run
from .options import Options, resolve
from .parallel import Backend, in_parallel
from .plugins import load
from .problem import Problem
from .seeds import stream
from .storage import write_text

__all__ = ["Sweep", "compare"]

Row = dict[str, Any]

RESULT = "cell.json"
"""In a cell's folder, beside its artifact: what its networks found."""

RANDOM_DRAWS = 5
"""Draws of random rows where a sweep says nothing: they need no distilling, and what they vary by is what all else is beside."""


class Sweep(Options):
    """What a sweep file says."""

    problems: list[str] = Field(min_length=1, description="problems by name")
    methods: list[str] = Field(min_length=1, description="methods by name; `random` is added where it is missing")
    ipc: list[int] | int | None = Field(None, description="rows per class, one or several")
    ratio: list[float] | float | None = Field(None, description="parts of the training rows, instead of ipc")
    ratio_of: Literal["labelled", "all"] = Field("labelled", description="what a ratio is of; graph papers use both")
    distillations: PositiveInt | dict[str, PositiveInt] = Field(
        default_factory=dict,
        description="independent distillations of each cell, or a table of them by method; otherwise 1, and 5 draws of `random`",
    )
    seeds: int = Field(5, ge=1, description="networks that each distilled set is scored with")
    preset: str = Field("quick", description="the methods' preset: quick or paper")
    steps: int | None = Field(None, ge=1, description="updates, where a method has them")
    split: Literal["val", "test"] = Field("test", description="rows that are scored; settings are chosen on val")
    protocol: str | None = Field(None, description="evaluation recipe; the problem's own by default")
    models: list[str] = Field(default_factory=list, description="networks of the zoo; the problem's first by default")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="a table by name: of a method its options (`method = NAME` for a variant), of a problem its options and "
        "its own `ipc`, `ratio` or `models`",
    )


@dataclass(frozen=True)
class Cell:
    """One distillation and its networks."""

    problem: str
    problem_options: str  # JSON
    name: str  # of the method or its variant
    method: str
    options: str  # JSON: resolved
    budget: str  # JSON
    preset: str
    distillation: int
    seeds: int
    split: str
    protocol: str
    models: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} on {self.problem}, {in_words(json.loads(self.budget))}, #{self.distillation + 1}"

    @property
    def key(self) -> str:
        """Equal work has an equal key, whatever name it goes by."""
        work = {k: v for k, v in vars(self).items() if k not in ("name", "preset")}
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, out: Path) -> Path:
        """Where its artifact and scores stand."""
        budget = "-".join(str(v) for v in json.loads(self.budget).values())
        return (
            out
            / "cells"
            / self.problem.replace("/", "-")
            / self.method.replace("/", "-")
            / f"{budget}-{self.distillation}-{self.key}"
        )


def compare(
    sweep: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    jobs: int = 1,
    device: str = "auto",
    backend: Backend = "loky",
    progress: Callable[[str, float, int, str], None] | None = None,
) -> list[Row]:
    """Runs the sweep and returns a row for each problem, method, budget, model and metric: mean and std over all networks of
    all distillations, and `stderr`, the standard error of the mean, which covers distillations where there are several.

    `jobs` cells run at a time, in processes of this machine or, with `backend="ray"`, of a Ray cluster whose machines all see
    OUT. `progress(cell, done, cells, note)` is told which cell is at work and how many are done, a part of that one with them,
    and its loss; of several at a time, which one was finished.

    Cells are written to OUT at once and atomically; a rerun skips those that are finished and computes equal ones once.
    Cells that a method or a protocol refuses, or that fail with an error of their own, are rows with `error` and no mean; a
    rerun tries again what failed (not what was refused: delete the cell's folder for that). The rows are in OUT/results.json
    and, as a table, in OUT/results.md.
    """
    out = Path(out)
    if (out / "manifest.json").exists():
        raise OptionError(f"{out} is a distilled set: choose another folder for the comparison")
    file = tomllib.loads(Path(sweep).read_text()) if isinstance(sweep, str | Path) else dict(sweep)
    wanted = resolve(Sweep, file, "sweep file")
    assert isinstance(wanted, Sweep)
    cells, refused = _cells(wanted)
    out.mkdir(parents=True, exist_ok=True)
    unique = list({cell.key: cell for cell in cells}.values())
    todo = [cell for cell in unique if not _finished(_result(cell.folder(out)))]
    done = len(unique) - len(todo)

    def tell(cell: Cell, part: float, note: str = "") -> None:
        if progress is not None:
            progress(str(cell), done + part, len(unique), note)

    if jobs == 1 and backend == "loky":
        for cell in todo:
            _perform(cell, out, device, partial(tell, cell))
            done += 1
            tell(cell, 0)
    else:
        for cell in in_parallel([delayed(_perform)(cell, out.resolve(), device) for cell in todo], jobs, backend):
            done += 1
            tell(cell, 0)
    rows = [*_rows(cells, out), *refused]
    write_text(out / "results.json", json.dumps(rows, indent=1))
    write_text(out / "results.md", _markdown(rows, wanted))
    return rows


def _cells(sweep: Sweep) -> tuple[list[Cell], list[Row]]:
    methods = list(dict.fromkeys([*sweep.methods, "random"]))
    if isinstance(sweep.distillations, dict) and (unknown := set(sweep.distillations) - set(methods)):
        raise OptionError(f"distillations for {', '.join(sorted(unknown))}, which are not among the methods")
    if unused := set(sweep.options) - {*methods, *sweep.problems}:
        raise OptionError(
            f"options for {', '.join(sorted(unused))}, which are neither among the methods nor the problems"
        )
    cells: list[Cell] = []
    refused: list[Row] = []
    for name in dict.fromkeys(sweep.problems):
        settings = dict(sweep.options.get(name, {}))
        named = _listed(settings.pop("models", sweep.models))
        budgets = _budgets(sweep, settings)
        problem = _problem(name, json.dumps(settings, sort_keys=True))
        models = tuple(named) or (next(iter(problem.models)),)
        recipe = recipe_of(sweep.protocol, problem)
        for label in methods:
            given = dict(sweep.options.get(label, {}))
            method = given.pop("method", label)
            for budget in budgets:
                try:
                    check(problem, recipe, models, sweep.split)
                    options = _resolved(problem, method, budget, sweep, given)
                except (NotSupported, BudgetError, DataError) as error:
                    refused.append({"problem": name, "method": label, **budget.describe(), "error": str(error)})
                    continue
                cells += [
                    Cell(
                        problem=name,
                        problem_options=json.dumps(settings, sort_keys=True),
                        name=label,
                        method=method,
                        options=json.dumps(options, sort_keys=True),
                        budget=json.dumps(budget.describe()),
                        preset=sweep.preset,
                        distillation=d,
                        seeds=sweep.seeds,
                        split=sweep.split,
                        protocol=recipe.name,
                        models=models,
                    )
                    for d in range(_draws(sweep, label, method))
                ]
    return cells, refused


def _draws(sweep: Sweep, label: str, method: str) -> int:
    """How many distillations a method gets."""
    if isinstance(sweep.distillations, int):
        return sweep.distillations
    return sweep.distillations.get(label, RANDOM_DRAWS if method == "random" else 1)


def _budgets(sweep: Sweep, settings: dict[str, Any]) -> list[Budget]:
    """The budgets of a problem: those of its own table, which are taken out of it, or else the file's."""
    own = {key: settings.pop(key) for key in ("ipc", "ratio", "ratio_of") if key in settings}
    ipc, ratio = (own.get("ipc"), own.get("ratio")) if {"ipc", "ratio"} & own.keys() else (sweep.ipc, sweep.ratio)
    if (ipc is None) == (ratio is None) or [] in (ipc, ratio):
        given = (
            "both" if ipc is not None and ratio is not None else "an empty list" if [] in (ipc, ratio) else "neither"
        )
        raise OptionError(
            "a sweep file needs either `ipc` or `ratio`, a number or a list, for all or in a problem's options; it has "
            f"{given}"
        )
    if ratio is None:
        return [Budget(ipc=n) for n in _listed(ipc)]
    return [Budget(ratio=part, ratio_of=own.get("ratio_of", sweep.ratio_of)) for part in _listed(ratio)]


def _resolved(
    problem: Problem[Any], method: str, budget: Budget, sweep: Sweep, given: Mapping[str, Any]
) -> dict[str, Any]:
    if sweep.steps is not None and "steps" not in given:
        with contextlib.suppress(OptionError):  # a coreset has no steps
            _, record = plan(problem, method, budget, sweep.preset, {**given, "steps": sweep.steps})
            return dict(record["options"])
    _, record = plan(problem, method, budget, sweep.preset, given)
    return dict(record["options"])


@cache
def _problem(name: str, settings: str) -> Problem[Any]:
    given = json.loads(settings)
    return load(name, given.pop("data", None), **given)


def _silent(part: float, note: str) -> None:
    pass


def _perform(cell: Cell, out: Path, device: str, tell: Callable[[float, str], None] = _silent) -> Cell:
    """Distils and scores; `tell(part, note)`: how much of the cell is done, a network counting as much as the distillation."""
    folder, trainings = cell.folder(out), cell.seeds * len(cell.models)
    tell(0, "")
    problem = _problem(cell.problem, cell.problem_options)
    recipe = recipe_of(cell.protocol, problem)
    result: dict[str, Any]
    try:
        artifact = _distilled(cell, problem, folder, device, lambda part, note: tell(part / (1 + trainings), note))
        problem = problem.to(resolve_device(device))
        synthetic = artifact.synthetic(problem)
        networks = [stream(cell.distillation, "network", s).getrandbits(31) for s in range(cell.seeds)]
        scores: dict[str, list[dict[str, float]]] = {m: [] for m in cell.models}
        for i, (m, s) in enumerate(product(cell.models, networks), start=1):
            tell(i / (1 + trainings), f"network {i} of {trainings}")
            scores[m].append(score(problem, train(problem, synthetic, recipe, s, m), cell.split))
        cost = folder / "cost.json"
        result = {"scores": scores, "cost": json.loads(cost.read_text()) if cost.is_file() else {}}
    except (NotSupported, DataError, Diverged) as error:
        result = {"error": str(error), "refused": isinstance(error, NotSupported)}
    write_text(folder / RESULT, json.dumps(result, indent=1))
    return cell


def _distilled(
    cell: Cell, problem: Problem[Any], folder: Path, device: str, tell: Callable[[float, str], None]
) -> Artifact:
    """The cell's set: as it stands in the folder, or distilled from the last checkpoint on."""
    if (folder / "manifest.json").is_file():
        with contextlib.suppress(ArtifactError):  # one that was damaged since is made again
            return open_artifact(folder)
    shutil.rmtree(folder, ignore_errors=True)  # what a failure left

    def updated(run: Run) -> None:
        loss = run.history[-1].get("loss") if run.history else None
        tell(run.step / max(run.steps, 1), "" if loss is None else f"loss {loss:.4g}")

    budget = json.loads(cell.budget)
    run = partial(
        distill,
        problem,
        cell.method,
        ipc=budget.get("ipc"),
        ratio=budget.get("ratio"),
        ratio_of=budget.get("ratio_of", "labelled"),
        preset=cell.preset,
        options=json.loads(cell.options),
        seed=cell.distillation,
        device=device,
        out=folder,
        data=json.loads(cell.problem_options).get("data"),
        callbacks=[updated],
        progress=lambda what, done, total: tell(0, f"{what} {done}/{total}"),
    )
    try:
        return run(resume=True)
    except OptionError:  # a checkpoint of data that stood elsewhere
        return run(resume=False)


def _result(folder: Path) -> Row:
    """What a cell's networks found, or its error."""
    for name in (RESULT, "scores.json"):  # the latter is what cells had before; `ddcore evaluate` writes one too
        with contextlib.suppress(OSError, ValueError):
            found: Row = json.loads((folder / name).read_text())
            if "error" in found or isinstance(found.get("scores"), dict):
                return found
    return {"error": "not computed"}


def _finished(result: Row) -> bool:
    return "error" not in result or bool(result.get("refused"))


def _rows(cells: Sequence[Cell], out: Path) -> list[Row]:
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.problem, cell.name, cell.budget), []).append(cell)
    rows: list[Row] = []
    for (problem, method, budget), group in groups.items():
        found = [_result(cell.folder(out)) for cell in group]
        head = {"problem": problem, "method": method, **json.loads(budget)}
        if errors := [f["error"] for f in found if "error" in f]:
            rows.append({**head, "error": errors[0]})
            continue
        manifest = json.loads((group[0].folder(out) / "manifest.json").read_text())
        seconds = [f["cost"]["seconds"] for f in found if "seconds" in f["cost"]]
        loaded = _problem(problem, group[0].problem_options)
        rising = {m.name: m.higher_is_better for m in loaded.task.metrics}
        for model in group[0].models:
            for metric in found[0]["scores"][model][0]:
                draws = [[net[metric] for net in f["scores"][model]] for f in found]  # distillations x networks
                values = [v for draw in draws for v in draw]
                mean = Mean.of(draws)
                rows.append(
                    {
                        **head,
                        "metric": metric,
                        "higher_is_better": rising.get(metric, True),
                        "mean": mean.mean,
                        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
                        "stderr": mean.stderr,
                        "interval": list(mean.interval() or ()) or None,
                        "values": list(mean.values),
                        "seeds": group[0].seeds,
                        "distillations": len(draws),
                        "model": model,
                        "split": group[0].split,
                        "protocol": group[0].protocol,
                        "epoch_rule": recipe_of(group[0].protocol, loaded).epoch_rule,
                        "label_kind": manifest["label_kind"],
                        "bytes": manifest["bytes"]["total"],
                        "preset": group[0].preset,
                        "seconds": statistics.fmean(seconds) if seconds else None,
                    }
                )
    return [row if "error" in row else {**row, **_beside(row, rows)} for row in rows]


def _beside(row: Row, rows: Sequence[Row]) -> Row:
    """Where the row stands among those of its problem, budget, model and metric (`unpaired`, 95 %): `best`, if it is the best
    or cannot be told from it; `beside_random`: ahead, behind or not told apart, None of random rows themselves."""
    same = ("problem", "ipc", "ratio", "model", "metric")
    rivals = [r for r in rows if "error" not in r and all(r.get(k) == row.get(k) for k in same)]

    def ahead(other: Row) -> Difference:
        sign = 1 if row["higher_is_better"] else -1
        a, b = (Mean(tuple(sign * v for v in r["values"])) for r in (row, other))
        return unpaired(a, b)

    first = (max if row["higher_is_better"] else min)(rivals, key=lambda r: float(r["mean"]))
    baseline = next((r for r in rivals if r["method"] == "random"), None)
    verdict = None
    if baseline is not None and baseline is not row:
        found = ahead(baseline)
        verdict = ("ahead" if found.mean > 0 else "behind") if found.distinguishable else "not told apart"
    return {"best": row is first or not ahead(first).distinguishable, "beside_random": verdict}


def _markdown(rows: Sequence[Row], sweep: Sweep) -> str:
    lines = [
        f"{sweep.seeds} networks for each distilled set, preset {sweep.preset}, split {sweep.split}; n: distillations; ± is the "
        "standard error of the mean, over distillations where there are several and over networks where there is one. Bold: the "
        "best of its problem, budget, model and metric, and what a t-test (Welch, 95 %) cannot tell from it; beside random: by "
        "the same test.",
        "",
        "| problem | method | budget | bytes | labels | model | metric | mean | beside random | n | seconds | protocol | epoch |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        head = f"| {row['problem']} | {row['method']} | {in_words(row)} |"
        if "error" in row:
            reason = " ".join(row["error"].split()).replace("|", "\\|")
            lines.append(f"{head} | | | | {reason} | | | | | |")
            continue
        error = "" if row["stderr"] is None else f" ± {row['stderr']:.4f}"
        mean = f"**{row['mean']:.4f}**{error}" if row["best"] else f"{row['mean']:.4f}{error}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        lines.append(
            f"{head} {row['bytes']} | {row['label_kind']} | {row['model']} | {row['metric']} | {mean} "
            f"| {row['beside_random'] or ''} | {row['distillations']} | {seconds} | {row['protocol']} | {row['epoch_rule']} |"
        )
    return "\n".join(lines) + "\n"


def _listed(value: Any) -> list[Any]:
    """The values, each once."""
    return list(dict.fromkeys(value)) if isinstance(value, list) else [value]
