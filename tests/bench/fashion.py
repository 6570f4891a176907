"""Fashion-MNIST for benchmarks: 5,000 stratified training rows, 5,000 others to choose settings on, the whole test split."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ddcore_image.augment import DSA, Siamese
from ddcore_image.models import zoo

from ddcore.problem import Problem
from ddcore.recipes import MATCHING_AUGMENTED
from ddcore.rows import Classification, RowData, Rows, row_set
from ddcore.seeds import stream

__all__ = ["fashion"]


def _pack() -> Any:
    folder = os.environ.get("DDCORE_TEST_DATA")
    if not folder:
        print("skipped: set DDCORE_TEST_DATA to the folder of the test data sets (it holds load.py), for Fashion-MNIST")
        sys.exit()
    spec = importlib.util.spec_from_file_location("pack", Path(folder) / "load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fashion(rows: int = 5000, width: int = 32) -> Problem[Rows]:
    """The problem that both sides of a benchmark are given."""
    (x0, y0), (x1, y1), names = _pack().images("fashion_mnist")
    by_class: Mapping[int, list[int]] = {c: [i for i, y in enumerate(y0.tolist()) if y == c] for c in range(10)}
    train = sorted(i for c, ids in by_class.items() for i in stream("fashion", c).sample(ids, rows // 10))
    rest = sorted(set(range(len(y0))) - set(train))
    val = sorted(stream("fashion val").sample(rest, min(rows, len(rest))))
    x = torch.cat([torch.from_numpy(x0[train]), torch.from_numpy(x0[val]), torch.from_numpy(x1)])[:, None].float() / 255
    y = torch.cat([torch.from_numpy(y0[train]), torch.from_numpy(y0[val]), torch.from_numpy(y1)]).long()
    held = rows + len(val)
    splits = {"train": range(rows), "val": range(rows, held), "test": range(held, len(y))}
    data = RowData((x - 0.2861) / 0.3530, y, splits)
    return Problem(
        name="fashion",
        data=data,
        task=Classification(10),
        models=zoo((1, 28, 28), 10, depth=3, width=width),
        synthetic=row_set((1, 28, 28)),
        recipe=MATCHING_AUGMENTED,
        augmentations={"match": Siamese(DSA), "train": Siamese(DSA, per_row=True)},
        class_names=names,
    )
