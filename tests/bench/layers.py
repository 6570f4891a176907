"""Seconds of a step of second order through a ConvNet with our layers, over those with torch's, in turn in one process.

usage: python tests/bench/layers.py [--rounds 15] [--keep]     # --keep: freed memory stays with the process, as in `ddcore`
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from ddcore_image.models.convnet import ConvNet
from torch import nn

from ddcore.allocator import keep_freed_memory
from ddcore.layers import HalvingPool2d, InstanceNorm
from ddcore.rows import Rows

CASES = {"8 px, width 64, 10 rows": (8, 2, 64, 10), "8 px, width 64, 100 rows": (8, 2, 64, 100)} | {
    f"28 px, width {width}, {rows} rows": (28, 3, width, rows) for width, rows in ((32, 10), (128, 10), (128, 100))
}


def plain(module: nn.Module) -> nn.Module:
    """The same network of torch's layers."""
    for name, child in module.named_children():
        if isinstance(child, InstanceNorm):
            setattr(module, name, nn.GroupNorm(child.num_groups, child.num_channels))
        elif isinstance(child, HalvingPool2d):
            setattr(module, name, nn.AvgPool2d(2))
        else:
            plain(child)
    return module


def seconds(net: nn.Module, batch: Rows, first_order: bool) -> float:
    """Processor seconds of a gradient, or of the derivative of a gradient along a direction."""
    params, began = list(net.parameters()), time.process_time()
    g = torch.autograd.grad(F.cross_entropy(net(batch).logits, batch.y), params, create_graph=not first_order)
    if not first_order:
        torch.autograd.grad(torch.stack([d.square().sum() for d in g]).sum(), [batch.x, *params])
    return time.process_time() - began


def main() -> None:
    """A line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_known_args()[0]
    if given.keep:
        keep_freed_memory()
    for name, (side, depth, width, rows) in CASES.items():
        batch = Rows(torch.randn(rows, 1, side, side, requires_grad=True), torch.arange(rows) % 10)
        nets = [make(ConvNet((1, side, side), 10, depth=depth, width=width)) for make in (nn.Module.train, plain)]
        line = []
        for first_order in (True, False):
            laps = [[seconds(net, batch, first_order) for net in nets] for _ in range(given.rounds + 2)][2:]
            ours, torchs = (statistics.median(side) for side in zip(*laps, strict=True))
            ratio = statistics.median(a / b for a, b in laps)
            line.append(
                f"{'first' if first_order else 'second'} order {1e3 * ours:.1f} / {1e3 * torchs:.1f} ms, {ratio:.2f}"
            )
        print(f"{name:26} {'; '.join(line)}", flush=True)


if __name__ == "__main__":
    main()
