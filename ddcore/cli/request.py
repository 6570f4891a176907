"""What to distil, how and into how much: the flags that `distill` and `estimate` share, over a configuration file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import BudgetError, OptionError

if TYPE_CHECKING:
    from ..problem import Problem

__all__ = ["Request", "device_option", "read_toml", "request_options"]
F = TypeVar("F", bound=Callable[..., Any])
BUDGETS = ("ipc", "ratio", "bytes")
PROBLEM = "problem."

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:i.")

_FLAGS = (
    click.argument("problem", required=False),
    click.option("--method", metavar="NAME", help="How: `ddcore methods` lists them."),
    click.option("--ipc", type=int, metavar="N", help="Rows per class; rows in all where there are no classes."),
    click.option("--ratio", type=float, metavar="R", help="Part of the training rows, in (0, 1]."),
    click.option("--ratio-of", type=click.Choice(["labelled", "all"]), help="Ratio of what. [default: labelled]"),
    click.option("--bytes", type=int, metavar="B", help="What the set may weigh."),
    click.option("--data", metavar="PATH", help="Folder or file of the data, where the problem does not bring it."),
    click.option("--preset", metavar="NAME", help="quick, or paper: the paper's own settings. [default: quick]"),
    click.option("--seed", type=int, metavar="S", help="The same seed gives the same bytes. [default: 0]"),
    click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Updates. [default: the preset's]"),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the method, or problem.KEY=VALUE; may be repeated.",
    ),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="TOML as `run.toml` in every result; flags win over it.",
    ),
    click.option("--device", help="auto, cpu, cuda or cuda:i. [default: auto]"),
)


def request_options(command: F) -> F:
    """The flags that `Request.of` takes."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


@dataclass(frozen=True)
class Request:
    """A run that is asked for, before anything is loaded."""

    problem: str
    method: str
    budget: Mapping[str, Any]
    data: str | None = None
    preset: str = "quick"
    seed: int = 0
    steps: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    problem_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"

    @classmethod
    def of(
        cls,
        *,
        problem: str | None,
        method: str | None,
        data: str | None,
        preset: str | None,
        seed: int | None,
        steps: int | None,
        assignments: Sequence[str],
        config: Path | None,
        device: str | None,
        **budget: Any,
    ) -> Request:
        """Flags over the file. Raises OptionError, BudgetError and UnknownName before anything heavy is imported."""
        from ..plugins import installed

        file = {} if config is None else _read_run(config)
        given = {"problem": problem, "method": method, "data": data, "preset": preset, "seed": seed, "device": device}
        if preset is not None and config is not None and file.get("options") and preset != file.get("preset", "quick"):
            raise OptionError(
                f"--preset {preset} cannot change the options that {config} sets: remove its [options] table, "
                "or leave --preset out"
            )
        run = file | {k: v for k, v in given.items() if v is not None}
        for name, how in (("problem", "the first argument"), ("method", "--method NAME")):
            if name not in run:
                raise OptionError(
                    f"no {name} is given: {how}, or `{name}` in --config FILE (`ddcore {name}s` lists them)"
                )
        of_method, of_problem = _assigned(assignments)
        entry = installed().find("problem", run["problem"])
        installed().find("method", run["method"], entry.modality)
        return cls(
            run["problem"],
            run["method"],
            _budget(budget, file.get("budget", {})),
            run.get("data"),
            run.get("preset", "quick"),
            run.get("seed", 0),
            steps,
            {**file.get("options", {}), **of_method},
            {**file.get("problem_options", {}), **of_problem},
            run.get("device", "auto"),
        )

    def load(self) -> Problem[Any]:
        """The problem."""
        from ..plugins import load

        return load(self.problem, self.data, **self.problem_options)

    def arguments(self) -> dict[str, Any]:
        """What `ddcore.distill` and `ddcore.estimate` take beside the problem and the method."""
        return {
            **self.budget,
            "preset": self.preset,
            "steps": self.steps,
            "options": self.options,
            "seed": self.seed,
            "device": self.device,
        }


def read_toml(file: Path) -> dict[str, Any]:
    """The file's tables. Raises OptionError where it is no TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{file} is not TOML: {error}") from error


def _read_run(file: Path) -> dict[str, Any]:
    from typing import Literal

    from pydantic import Field

    from ..options import Options, resolve

    class Amount(Options):
        ipc: int | None = None
        ratio: float | None = None
        ratio_of: Literal["labelled", "all"] | None = None
        bytes: int | None = None

    class Run(Options):
        problem: str | None = None
        method: str | None = None
        preset: str | None = None
        seed: int | None = None
        device: str | None = None
        data: str | None = None
        budget: Amount = Field(default_factory=Amount)
        options: dict[str, Any] = Field(default_factory=dict)
        problem_options: dict[str, Any] = Field(default_factory=dict)

    return resolve(Run, read_toml(file), str(file)).model_dump(exclude_none=True)


def _budget(flags: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """The flags' amount, or else the file's; both may say what a ratio is of."""
    amounts = {k: flags[k] for k in BUDGETS if flags[k] is not None} or {k: file[k] for k in BUDGETS if k in file}
    if len(amounts) != 1:
        got = " and ".join(f"--{k}" for k in amounts) or "none"
        raise BudgetError(f"give one budget: --ipc N, --ratio R or --bytes B, such as --ipc 10; got {got}")
    ratio_of = flags["ratio_of"] or file.get("ratio_of", "labelled")
    if flags["ratio_of"] and "ratio" not in amounts:
        raise BudgetError(f"--ratio-of goes with --ratio R; got --{next(iter(amounts))}")
    return {**amounts, "ratio_of": ratio_of}


def _assigned(assignments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `--set` gives to the method and to the problem."""
    from ..options import parse_assignment

    method: dict[str, Any] = {}
    problem: dict[str, Any] = {}
    for text in assignments:
        key, value = parse_assignment(text)
        if key.startswith(PROBLEM):
            problem[key.removeprefix(PROBLEM)] = value
        else:
            method[key] = value
    return method, problem
