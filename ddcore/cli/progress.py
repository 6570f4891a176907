"""How far long work is, on stderr: a bar in a terminal, a line at the start and at the end elsewhere."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Self

import click

from .stdout import stdout_to_stderr

if TYPE_CHECKING:
    from types import TracebackType

    from ..loop import Run

__all__ = ["Progress"]


class Progress:
    """`with Progress("dm on image/digits") as progress: ...`. What libraries and other processes print meanwhile goes
    to stderr too."""

    def __init__(self, what: str, window: float = 30.0) -> None:  # seconds that the time left is told from
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
        bar = Bar(*columns, console=console, transient=True, expand=True, speed_estimate_period=window)
        self.bar = bar if console.is_terminal else None
        self.shown, self.last = "", 0.0

    def __enter__(self) -> Self:
        self.stdout = stdout_to_stderr()
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
        """A callback for `ddcore.distill`: one more update, and its loss; `no update` where none was made."""
        loss = run.history[-1].get("loss") if run.history else None
        note = "" if loss is None else "no update" if math.isnan(loss) else f"loss {loss:.4g}"
        self.count(self.what, run.step, run.steps, note)

    def count(self, what: str, done: float, total: int, note: str = "") -> None:
        """A callback for `ddcore.evaluate` and `ddcore.compare`; half a second after another of the same it is left out."""
        now = time.perf_counter()
        if self.bar is not None and (what != self.shown or done == total or now - self.last > 0.5):
            self.bar.update(self.task, description=what, completed=done, total=total, note=note)
            self.shown, self.last = what, now
