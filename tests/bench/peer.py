"""Runs the official DC/DM code (VICO-UoE/DatasetCondensation) as it is, from a checkout, on tensors of ours.

Its own `main` is called; what it imports beyond torch is stood in for, `view` becomes `reshape` and `a[:] = a[0]` gets a
clone, as a current torch needs, and its calls to evaluation are skipped, so that what is timed is its training loop alone.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["Peer"]


class Peer:
    """A checkout of the official code."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def _module(self, name: str) -> types.ModuleType:
        module = types.ModuleType(name)
        source = (self.checkout / f"{name}.py").read_text().replace(".view(", ".reshape(")
        source = re.sub(r"(\[:\] = \w+\[0\])", r"\1.clone()", source)
        sys.modules[name] = module
        exec(compile(source, str(self.checkout / f"{name}.py"), "exec"), module.__dict__)
        return module

    @contextlib.contextmanager
    def _imported(self, main: str) -> Iterator[types.ModuleType]:
        stand_ins = {
            "torchvision": mock.MagicMock(),
            "torchvision.utils": mock.MagicMock(),
            "scipy.ndimage.interpolation": mock.MagicMock(),
        }
        with mock.patch.dict(sys.modules, stand_ins):
            for name in ("networks", "utils"):
                self._module(name)
            yield self._module(main)

    def run(
        self,
        main: str,  # "main" (DC, DSA) or "main_DM"
        x: Tensor,  # (n, c, h, w) training rows
        y: Tensor,  # (n,)
        *,
        ipc: int,
        iterations: int,
        arguments: dict[str, Any],
        width: int,
        seed: int = 0,
    ) -> tuple[list[float], Tensor]:
        """Seconds of each iteration but the first, and the images it ends with."""
        stamps: list[float] = []
        k = int(y.max()) + 1
        data = TensorDataset(x, y)
        mean, std = [0.0] * x.shape[1], [1.0] * x.shape[1]
        names = [str(i) for i in range(k)]
        dataset = (x.shape[1], tuple(x.shape[2:]), k, names, mean, std, data, data, DataLoader(data))
        torch.manual_seed(seed)
        with self._imported(main) as module, tempfile.TemporaryDirectory() as folder:

            def get_network(model: str, channel: int, classes: int, size: tuple[int, int]) -> Any:
                stamps.append(time.perf_counter())
                networks = sys.modules["networks"]
                return networks.ConvNet(channel, classes, width, 3, "relu", "instancenorm", "avgpooling", size)

            module.get_network = get_network
            module.get_dataset = lambda *_: dataset
            module.evaluate_synset = lambda *_: (None, 0.0, 0.0)
            kept: dict[str, Tensor] = {}

            def keep(what: Any, *_: Any, **__: Any) -> None:
                kept["x"] = what["data"][-1][0].detach().clone()

            options = {
                "--dataset": "MNIST", "--model": "ConvNet", "--ipc": ipc, "--Iteration": iterations, "--num_exp": 1,
                "--num_eval": 0, "--save_path": folder, "--data_path": folder, **arguments,
            }  # fmt: skip
            argv = [main, *(str(part) for pair in options.items() for part in pair)]
            with (
                mock.patch.object(sys, "argv", argv),
                mock.patch.object(torch, "save", keep),
                contextlib.redirect_stdout(io.StringIO()),
                warnings.catch_warnings(action="ignore"),  # the mean of no evaluations
            ):
                module.main()
        stamps.append(time.perf_counter())
        laps = [b - a for a, b in zip(stamps, stamps[1:], strict=False)]
        return laps[1:], kept["x"]
