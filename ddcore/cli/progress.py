"""How far long work is, on stderr: a bar in a terminal, a line at the start and at the end elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from types import TracebackType

    from ..loop import Run

__all__ = ["Progress"]


class Progress:
    """`with Progress("dm on image/digits") as progress: ...`. What libraries print meanwhile goes to stderr too."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        self.what, self.began = what, time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, console=console, transient=True, expand=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        self.stdout = redirect_stdout(sys.stderr)
        self.stdout.__enter__()
        if self.bar is None:
            click.echo(f"{self.what} ...", err=True)
        else:
            self.bar.start()
            self.task = self.bar.add_task(self.what, total=None, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()  # first: it took stdout over after us
        self.stdout.__exit__(kind, error, trace)
        if self.bar is None and kind is None:
            click.echo(f"{self.what}: {time.perf_counter() - self.began:.1f} s", err=True)

    def step(self, run: Run) -> None:
        """A callback for `ddcore.distill`: one more update, and its loss."""
        loss = run.history[-1].get("loss") if run.history else None
        self.count(self.what, run.step, run.steps, "" if loss is None else f"loss {loss:.4g}")

    def count(self, what: str, done: int, total: int, note: str = "") -> None:
        """A callback for `ddcore.evaluate` and `ddcore.compare`."""
        if self.bar is not None:
            self.bar.update(self.task, description=what, completed=done, total=total, note=note)
