"""Trackers: what a run logs, written as it goes. Any callable that takes a `Run` is one: `distill(..., callbacks=[...])`."""

from __future__ import annotations

import json
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import NotSupported
from .loop import Run
from .storage import write_text

__all__ = ["JsonLines", "TensorBoard"]


class JsonLines:
    """A line of JSON for each update: its step and all that was logged. Any tracker can follow the file while the run goes on.
    A resumed run adds to the lines before its checkpoint; a new run begins the file anew."""

    def __init__(self, file: str | PathLike[str]) -> None:
        self.file, self.begun = Path(file), False
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, run: Run) -> None:
        if not self.begun:
            self.begun = True
            there = self.file.read_text("utf-8").splitlines(keepends=True) if self.file.exists() else []
            write_text(self.file, "".join(there[: _update(run)]))
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": _update(run), **run.history[-1]}) + "\n")


class TensorBoard:
    """Scalars for TensorBoard in a folder. Raises NotSupported where its package is not installed."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise NotSupported("TensorBoard's package is not installed: pip install 'ddcore[tensorboard]'") from error
        self.open = partial(SummaryWriter, str(folder))
        self.writer: Any = None

    def __call__(self, run: Run) -> None:
        if (
            self.writer is None
        ):  # what is there of these steps, of a run before or after the checkpoint, is shown no more
            self.writer = self.open(purge_step=_update(run))
        for name, value in run.history[-1].items():
            self.writer.add_scalar(name, value, _update(run))
        if run.step == run.steps:
            self.writer.close()


def _update(run: Run) -> int:
    """The number of the update that was just made, from 0, over all stages."""
    return run.earlier + run.step - 1
