"""Runs the official DC/DM code (VICO-UoE/DatasetCondensation) as it is, from a checkout, on tensors of ours.

Its own `main` is called; what it imports beyond torch is stood in for, `view` becomes `reshape` and `a[:] = a[0]` gets a
clone, as a current torch needs, its float32 becomes torch's default type, and its calls to evaluation are skipped, so that what
is timed is its training loop alone.
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
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["Peer", "Ran"]


class Ran(NamedTuple):
    """What a run of the official code gave."""

    seconds: list[float]  # of each iteration but the first
    x: Tensor  # the images it ends with
    losses: list[float]  # DC's of each class, in turn


class Peer:
    """A checkout of the official code."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def _module(self, name: str) -> types.ModuleType:
        module = types.ModuleType(name)
        source = (self.checkout / f"{name}.py").read_text().replace(".view(", ".reshape(")
        source = re.sub(r"(\[:\] = \w+\[0\])", r"\1.clone()", source)
        source = source.replace("torch.float,", "torch.get_default_dtype(),")
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
        theta: list[Tensor] | None = None,  # its network's start; its own otherwise
    ) -> Ran:
        """A run in the default type of torch."""
        stamps: list[float] = []
        losses: list[Tensor] = []
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
                net = networks.ConvNet(channel, classes, width, 3, "relu", "instancenorm", "avgpooling", size)
                if theta is not None:
                    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(theta), net.parameters())
                return net

            match_loss = getattr(module, "match_loss", None)  # of DC

            def told(*arguments: Any) -> Tensor:
                losses.append(match_loss(*arguments))
                return losses[-1]

            module.get_network, module.match_loss = get_network, told
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
        return Ran(laps[1:], kept["x"], [loss.item() for loss in losses])
