"""Ours beside the official MTT: losses on equal inputs, processor seconds and peak memory of an update with N student steps.

usage: python tests/bench/mtt_peer.py --peer CHECKOUT [--steps 50] [--width 32] [--ipc 1] [--updates 4] [--double]

The official `distill.py` runs as it is, in a process of its own, on the same rows, expert and network as ours. What it imports
beyond torch is stood in for, `view` becomes `reshape`, and its calls to evaluation are left out. Each side is measured in a fresh
process; memory is the peak of the resident set over what it was before the first update.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import types
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from fashion import fashion

from ddcore.allocator import keep_freed_memory
from ddcore.experts import Training, train_experts
from ddcore.loop import optimise
from ddcore.methods.optimisers import per_group
from ddcore.objectives.trajectory import Tesla, TrajectoryMatching, Window
from ddcore.parametrizations.base import Selected
from ddcore.problem import Problem
from ddcore.rows import RowData
from ddcore.seeds import stream

ETA, LR = 0.02, 10.0
OURS = {
    "replay": partial(TrajectoryMatching, memory="replay"),
    "graph": partial(TrajectoryMatching, memory="graph"),
    "tesla": Tesla,
}


class Meter:
    """Processor seconds of each update but the first, and the peak of memory over all."""

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
        self.before, self.stamps = self._read("VmRSS"), [time.process_time()]

    def __call__(self, *_: Any) -> None:
        self.stamps.append(time.process_time())

    def _read(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def result(self, losses: list[float]) -> dict[str, Any]:
        laps = [b - a for a, b in zip(self.stamps, self.stamps[1:], strict=False)]
        return {
            "losses": losses,
            "seconds": sorted(laps[1:])[len(laps[1:]) // 2],
            "mib": self._read("VmHWM") - self.before,
        }


def start(problem: Problem[Any], ipc: int) -> Selected[Any]:
    return Selected.random(problem.data, dict.fromkeys(problem.data.groups, ipc), stream("bench"))


def ours(problem: Problem[Any], experts: Any, how: str, given: argparse.Namespace) -> dict[str, Any]:
    keep_freed_memory()  # as the command `ddcore` does
    chosen = start(problem, given.ipc)
    synthetic = problem.synthetic(chosen.counts, chosen.batch(), stream("bench")).learn_step_size()
    synthetic.log_step_size.data.fill_(torch.tensor(ETA).log())
    objective = OURS[how](Window(experts, last=1), given.steps, augment=None)
    sgd = per_group(torch.optim.SGD, {"rows": LR, "step_size": 0.0}, momentum=0.5)
    meter = Meter()
    run = optimise(problem, synthetic, objective, steps=given.updates, optimiser=sgd, callbacks=(meter,))
    return meter.result([h["loss"] for h in run.history])


def official(problem: Problem[Any], experts: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Its own `main`, on the rows that ours starts from."""
    batch = start(problem, given.ipc).batch()
    rows, losses, meter = torch.utils.data.TensorDataset(batch.x, batch.y), [], None
    k, names = int(batch.y.max()) + 1, list(range(int(batch.y.max()) + 1))
    wandb = mock.MagicMock()

    def init(*_: Any, config: Any, **__: Any) -> None:
        wandb.config._items = dict(vars(config))

    def log(values: dict[str, Any], **_: Any) -> None:
        nonlocal meter
        if "Progress" in values and meter is None:
            meter = Meter()
        if "Grand_Loss" in values:
            losses.append(float(values["Grand_Loss"]))
            meter()

    wandb.init, wandb.log = init, log
    outside = ("torchvision", "torchvision.utils", "kornia", "scipy.ndimage.interpolation", "tqdm")
    stand_ins = {**{name: mock.MagicMock() for name in outside}, "wandb": wandb}
    stand_ins["tqdm"].tqdm = lambda x: x

    def module(name: str) -> types.ModuleType:
        source = (given.peer / f"{name}.py").read_text().replace(".view(", ".reshape(")
        source = source.replace("it in eval_it_pool", "False")
        source = source.replace("dtype=torch.float)", "dtype=torch.get_default_dtype())")
        sys.modules[name] = made = types.ModuleType(name)
        exec(compile(source, str(given.peer / f"{name}.py"), "exec"), made.__dict__)
        return made

    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(sys.modules, stand_ins):
        buffer = Path(folder) / "bench" / "ConvNet"
        buffer.mkdir(parents=True)
        torch.save([[list(s.values()) for s in e.snapshots] for e in experts], buffer / "replay_buffer_0.pt")
        networks, *_, main = (module(name) for name in ("networks", "reparam_module", "utils", "distill"))
        size = tuple(batch.x.shape[1:])

        def get_network(*_: Any, **__: Any) -> Any:
            return networks.ConvNet(size[0], k, given.width, 3, "relu", "instancenorm", "avgpooling", size[1:])

        classes = {i: i for i in range(k)}
        main.get_network = get_network
        main.get_eval_pool = lambda *_: ["ConvNet"]
        main.get_dataset = lambda *_, **__: (
            size[0], size[1:], k, names, [0.0], [1.0], rows, rows, [], [], classes, classes
        )  # fmt: skip
        argv = {
            "dataset": "bench", "ipc": given.ipc, "syn_steps": given.steps, "expert_epochs": 2, "max_start_epoch": 1,
            "lr_img": LR, "lr_lr": 0.0, "lr_teacher": ETA, "Iteration": given.updates - 1, "buffer_path": folder,
            "no_aug": True, "dsa": "False",
        }  # fmt: skip
        # the arguments are made below its `__main__`: the parser's defaults, and ours
        source = (given.peer / "distill.py").read_text()
        parser = argparse.ArgumentParser()
        for line in re.findall(r"parser\.(add_argument\((?:[^()]|\([^()]*\))*\))", source):
            eval(f"parser.{line}", {"parser": parser})
        args = parser.parse_args([])
        vars(args).update(argv)
        np.random.seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            main.main(args)
    assert meter is not None
    return meter.result(losses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of GeorgeCazenavette/mtt-distillation")
    parser.add_argument("--steps", type=int, default=50, help="N")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--double", action="store_true", help="both sides in float64")
    parser.add_argument("--side", choices=["official", *OURS], help=argparse.SUPPRESS)
    given = parser.parse_known_args()[0]
    if given.peer is None:
        print("skipped: --peer CHECKOUT of GeorgeCazenavette/mtt-distillation is not given")
        return
    torch.set_default_dtype(torch.float64 if given.double else torch.float32)
    problem = fashion(width=given.width)
    data = problem.data
    assert isinstance(data, RowData)
    problem = replace(problem, data=RowData(data.x.to(torch.get_default_dtype()), data.y, data.splits))
    experts = train_experts(problem, 1, Training(epochs=2, augment=None))
    if given.side is not None:
        measured = (
            official(problem, experts, given) if given.side == "official" else ours(problem, experts, given.side, given)
        )
        print(json.dumps(measured))
        return
    found = {}
    for side in ("official", *OURS):
        command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
        found[side] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
    print(f"N = {given.steps}, ipc {given.ipc}, width {given.width}, {torch.get_num_threads()} threads")
    for side, measured in found.items():
        apart = max(abs(a / b - 1) for a, b in zip(measured["losses"], found["official"]["losses"], strict=True))
        first = abs(measured["losses"][0] / found["official"]["losses"][0] - 1)
        print(
            f"{side:9} {measured['seconds']:7.2f} s ({measured['seconds'] / found['official']['seconds']:.2f})  "
            f"{measured['mib']:7.0f} MiB ({measured['mib'] / found['official']['mib']:.2f})  "
            f"first loss apart {first:.1e}, all {apart:.1e}"
        )


if __name__ == "__main__":
    main()
