"""The gallery: a picture of a set, one row of images for each class, with the class's name."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont

from ddcore.errors import NotSupported
from ddcore.seeds import stream
from ddcore.storage import write_bytes

from .preprocess import undo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Preprocessing
    from ddcore.rows import Rows

__all__ = ["COLUMNS", "IMAGES", "gallery", "pictures"]

COLUMNS = 12
"""Images shown of a class at most; where there are more, ten and how many are left."""

IMAGES = 300
"""Images shown at most: 25 classes of 12 images, 30 of 10, 300 of one."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PAPER, INK, PALE = (255, 255, 255), (38, 42, 48), (128, 134, 142)
MARGIN, GAP, BETWEEN = 32, 3, 48  # pixels: around the page, between images, between panels
LABEL = 240  # pixels: the widest class name


def pictures(x: Tensor, preprocessing: Preprocessing) -> list[Image.Image]:  # (n, c, h, w)
    """Each row as an 8-bit picture, its preprocessing undone, its values clamped; grey for one channel, RGB for three.

    Raises NotSupported for rows that are not images of one or three channels.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise NotSupported(
            f"a picture is (c, h, w) with one or three channels, and rows here are {tuple(x.shape[1:])}: "
            "export the set to pt"
        )
    x = x.detach().cpu().float()
    x = undo(preprocessing, x) if preprocessing.tensors else x.clamp(0, 1)
    raw = (x * 255).round().to(torch.uint8)
    return [Image.fromarray(p.squeeze(2).numpy()) for p in raw.permute(0, 2, 3, 1).contiguous()]


def gallery(class_names: Sequence[str], preprocessing: Preprocessing, synthetic: Synthetic[Rows], folder: Path) -> Path:
    """Writes `gallery.png` into the folder: a row for each class, small images enlarged without smoothing.

    The same set gives the same bytes. With its first two arguments bound it is a problem's `render`.
    """
    sizes = {g: n for g, n in synthetic.counts.items() if n}
    first = {g: n if n <= COLUMNS else COLUMNS - 2 for g, n in sizes.items()}
    shown = list(sizes)[: IMAGES // max(first.values())]
    ids = [i for g in shown for i in synthetic.ids(g)[: first[g]]]
    with torch.no_grad():
        images = iter(pictures(synthetic.take(ids, stream("gallery")).x, preprocessing))
    rows = [
        _Row(_readable(class_names, g), [next(images) for _ in range(first[g])], sizes[g] - first[g]) for g in shown
    ]
    left = len(sizes) - len(shown)
    page = _page(rows, f"+{left:,} more class{'es' if left > 1 else ''}" if left else "")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    write_bytes(folder / "gallery.png", buffer.getvalue())
    return folder / "gallery.png"


@dataclass(frozen=True)
class _Row:
    name: str
    images: Sequence[Image.Image]
    left: int  # images that are not shown


def _page(rows: Sequence[_Row], footer: str) -> Image.Image:
    """The rows below each other, in as many panels side by side as make the page about as wide as it is tall."""
    target = 96 if len(rows) <= 20 else 64 if len(rows) <= 100 else 48
    width, height = _tile(rows[0].images[0].size, target)
    row = height + max(height // 9, GAP)
    letters = min(max(height * 0.24, 15), 22)
    font = ImageFont.load_default(letters)
    names = [_shortened(r.name, font) for r in rows]
    label = round(max(font.getlength(name) for name in names)) + 14
    more = round(max((font.getlength(f"+{r.left:,}") + 14 for r in rows if r.left), default=0))
    panel = label + max(len(r.images) for r in rows) * (width + GAP) - GAP + more + BETWEEN
    panels = next(k for k in range(1, len(rows) + 1) if k == len(rows) or -(-len(rows) // k) * row <= 1.25 * k * panel)
    deep = -(-len(rows) // panels)
    panels = -(-len(rows) // deep)
    below = round(2.2 * letters) if footer else 0
    size = 2 * MARGIN + panels * panel - BETWEEN, 2 * MARGIN + (deep - 1) * row + height + below
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for i, (r, name) in enumerate(zip(rows, names, strict=True)):
        x, y = MARGIN + i // deep * panel + label, MARGIN + i % deep * row
        draw.text((x - 14, y + height / 2), name, INK, font, anchor="rm")
        for image in r.images:
            how = Image.Resampling.NEAREST if image.width <= width else Image.Resampling.LANCZOS
            page.paste(image.resize((width, height), how), (x, y))
            x += width + GAP
        if r.left:
            draw.text((x + 14 - GAP, y + height / 2), f"+{r.left:,}", PALE, font, anchor="lm")
    if footer:
        draw.text((MARGIN + label, page.height - MARGIN), footer, PALE, font, anchor="ls")
    return page


def _tile(size: tuple[int, int], target: int) -> tuple[int, int]:
    """The size an image is shown at: a whole multiple where it is small, else reduced to 4/3 of the target."""
    side = max(size)
    scale = target // side if side <= target else min(1.0, 4 / 3 * target / side)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _readable(class_names: Sequence[str], g: int) -> str:
    """The class's name in the letters of Pillow's own font: accents dropped, the number where that is not enough."""
    name = class_names[g].strip() if g < len(class_names) else ""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return plain if plain.isascii() and plain.isprintable() and plain else str(g)


def _shortened(text: str, font: Font) -> str:
    """The text, cut to the widest that a name may be."""
    if font.getlength(text) <= LABEL:
        return text
    while font.getlength(f"{text}…") > LABEL:
        text = text[:-1]
    return f"{text.rstrip(' ,')}…"
