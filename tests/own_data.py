"""What the pages take for the reader's own data, in the layouts that they say."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

__all__ = ["MAKERS"]


def photos(folder: Path) -> None:
    """Two classes of small pictures."""
    images = pytest.importorskip("PIL.Image", reason="the pictures of the page are written by Pillow")
    for shade, name in ((40, "cats"), (200, "dogs")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            images.new("RGB", (40, 36), (shade, shade + i, 255 - shade)).save(folder / name / f"{i}.png")


def birds(folder: Path) -> None:
    """Two classes of tones."""
    soundfile = pytest.importorskip("soundfile", reason="the clips of the page are written by soundfile")
    time = np.arange(8000) / 16000
    for hertz, name in ((800, "robin"), (2000, "wren")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            soundfile.write(folder / name / f"{i}.wav", 0.5 * np.sin(2 * np.pi * (hertz + 10 * i) * time), 16000)


def web(folder: Path) -> None:
    """Three groups of sites, linked among themselves."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    group = np.arange(300) % 3
    links = [(i, int(draw.choice(np.flatnonzero(group == group[i])))) for i in range(300) for _ in range(4)]
    table(folder / "edges.csv", "source target", links)
    table(folder / "features.csv", "node clicks age", [(i, group[i], draw.normal()) for i in range(300)])
    table(folder / "labels.csv", "node label", [(i, ["news", "shop", "blog"][group[i]]) for i in range(300)])


def reviews(file: Path) -> None:
    """Two kinds of texts, whose words mostly differ."""
    draw = np.random.default_rng(0)
    words = [a + b + c for a in "bdgkln" for b in "aeio" for c in "mrst"]
    kinds = {"good": words[:60], "bad": words[40:]}
    lines = [(" ".join(draw.choice(known, 8)), label) for _ in range(60) for label, known in kinds.items()]
    table(file, "text label", lines)


def plays(file: Path) -> None:
    """What listeners of two tastes heard, and how often."""
    draw = np.random.default_rng(0)
    heard = [(i, song) for i in range(200) for song in draw.choice(np.arange(i % 2, 40, 2), 9, replace=False)]
    table(file, "listener song weight", [(f"l{i}", f"s{song}", draw.integers(2, 6)) for i, song in heard])


def table(file: Path, heads: str, lines: Iterable[tuple[object, ...]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([heads.split(), *lines])


MAKERS: dict[str, Callable[[Path], None]] = {
    "photos": photos,
    "pets": photos,
    "birds": birds,
    "web": web,
    "reviews.csv": reviews,
    "plays.csv": plays,
}
