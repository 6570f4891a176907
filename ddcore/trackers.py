"""Trackers: what a run logs, written as it goes. Any callable that takes a `Run` is one: `distill(..., callbacks=[...])`."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import NotSupported
from .loop import Run

__all__ = ["JsonLines", "TensorBoard"]


class JsonLines:
    """A line of JSON for each update: its step and all that was logged. Any tracker can follow the file while the run goes on;
    a resumed run adds to it."""

    def __init__(self, file: str | PathLike[str]) -> None:
        self.file = Path(file)
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, run: Run) -> None:
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"step": run.step - 1, **run.history[-1]}) + "\n")


class TensorBoard:
    """Scalars for TensorBoard in a folder. Raises NotSupported where its package is not installed."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise NotSupported("TensorBoard's package is not installed: pip install 'ddcore[tensorboard]'") from error
        self.writer: Any = SummaryWriter(str(folder))

    def __call__(self, run: Run) -> None:
        for name, value in run.history[-1].items():
            self.writer.add_scalar(name, value, run.step - 1)
        if run.step == run.steps:
            self.writer.close()
