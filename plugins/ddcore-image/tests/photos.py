"""Folders of photos, and what is in the problems that are made of them."""

from __future__ import annotations

import random
from importlib.metadata import EntryPoint

import numpy as np
from PIL import Image

from ddcore.plugins import Plugins
from ddcore.problems import build


def photo(file, seed=0, size=(20, 20), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    channels = () if mode == "L" else (3,)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, *channels), np.uint8)).save(file)
    return file


def pets(root, counts=(10, 10), names=("cat", "dog"), split=""):
    for k, (name, n) in enumerate(zip(names, counts, strict=True)):
        for i in range(n):
            photo(root / split / name / f"{i:03}.png", seed=random.Random(f"{split} {k} {i}").getrandbits(31))
    return root


def raw(problem, ids):
    t = problem.preprocessing.tensors
    return ((problem.data.take(ids).x * t["std"] + t["mean"]) * 255).round().clamp(0, 255).byte()


def sizes(problem):
    return [len(problem.data.ids(split=s)) for s in ("train", "val", "test")]


def load(name, data=None, **options):
    """As `ddcore.load` does, from the plugin's entry point."""
    found = Plugins([EntryPoint("image", "ddcore_image.plugin", "ddcore")])
    return build(found.find("problem", name), data, options)
