"""The page: a set to look at and to listen to, a row of spectrograms with players for each class, and its WAV files."""

from __future__ import annotations

import base64
import html
import io
import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
from PIL import Image

from ddcore.seeds import stream
from ddcore.storage import write_bytes, write_text

from .frontend import Features, Frontend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from ddcore.parametrizations import Synthetic
    from ddcore.rows import Rows

    from .sound import Sound

__all__ = ["CLIPS", "page", "safe", "spectrogram"]

CLIPS = 3
"""Clips of a class on the page and as files; export the set to `wav` for all."""

CLASSES = 100
"""Classes on the page at most."""

LOUD = 0.9  # of full scale: the peak of every clip as it is played

COLOURS = ((8, 6, 29), (72, 12, 84), (148, 44, 97), (219, 83, 66), (250, 155, 29), (252, 240, 160))
"""Soft to loud."""

RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9¹²³]", re.IGNORECASE)

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #262a30; background: #fff }
h2 { font-size: 1rem; margin: 1.4rem 0 .4rem }
.row { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 17rem }
img { width: 100%; height: 8rem; image-rendering: pixelated; border-radius: 4px }
audio { width: 100%; height: 2rem; margin-top: .2rem }
.more, p { color: #656b73 }
"""


def page(class_names: Sequence[str], sound: Sound, synthetic: Synthetic[Rows], folder: Path) -> Path:
    """Writes `page.html` into the folder, and beside it the WAV files that it plays: the first clips of every class, 16 bit,
    their peaks brought to one loudness. Pictures are log-mel spectrograms of what is played, low bands at the bottom.

    The same set gives the same bytes. With its first two arguments bound it is a problem's `render`.
    """
    sizes = {g: n for g, n in list(synthetic.counts.items())[:CLASSES] if n}
    first = {g: min(n, CLIPS) for g, n in sizes.items()}
    with torch.no_grad():
        x = synthetic.take([i for g, n in first.items() for i in synthetic.ids(g)[:n]], stream("page")).x
    waves = iter(sound.waveform(x))
    heard, sections = _plain(sound.frontend), []
    for g, n in sizes.items():
        name = class_names[g] if g < len(class_names) else str(g)
        figures = []
        for k in range(first[g]):
            wave, file = _loud(next(waves)), f"{g:03}-{safe(name) or g}-{k + 1}.wav"
            write_bytes(folder / file, _wav(wave, sound.frontend.sample_rate))
            figures.append(_figure(spectrogram(heard, wave), file))
        more = f'<span class="more">and {n - first[g]:,} more</span>' if n > first[g] else ""
        sections.append(f'<h2>{html.escape(name)} {more}</h2>\n<div class="row">\n{"".join(figures)}</div>\n')
    left = len(synthetic.counts) - len(sizes)
    told = "" if sound.waveforms else " Waveforms are recovered from maps, which hold no phase (Griffin and Lim)."
    about = f"<p>{html.escape(str(sound.frontend))}.{told} All clips are played equally loud.</p>\n"
    footer = f"<p>{left:,} more classes.</p>\n" if left > 0 else ""
    head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>A distilled set</title>\n<style>{STYLE}</style>\n'
    write_text(folder / "page.html", f"{head}<h1>A distilled set</h1>\n{about}{''.join(sections)}{footer}</html>\n")
    return folder / "page.html"


def _figure(picture: Image.Image, file: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    played = f'<audio controls preload="none" src="{html.escape(file)}"></audio>'
    return f'<figure><img alt="log-mel spectrogram" src="data:image/png;base64,{data}">{played}</figure>\n'


def _plain(frontend: Frontend) -> Features:
    """The problem's frontend as log-mel without normalisation, which every kind can be shown as."""
    return Features(Frontend(**{**vars(frontend), "kind": "log-mel"}))


@torch.no_grad()
def spectrogram(features: Features, wave: Tensor) -> Image.Image:  # (samples,)
    """A picture of frames by bands, the loudest 80 dB of the clip."""
    maps = features.raw(wave[None])[0, 0].flip(0).numpy()  # (bands, frames)
    top = max(maps.max(), np.log(features.frontend.floor) + 1)
    shade = np.clip(1 + (maps - top) / (8 * np.log(10)), 0, 1)  # 80 dB are eight factors of ten
    stops = np.linspace(0, 1, len(COLOURS))
    rgb = np.stack([np.interp(shade, stops, [c[i] for c in COLOURS]) for i in range(3)], -1)
    return Image.fromarray(rgb.round().astype(np.uint8))


def _loud(wave: Tensor) -> Tensor:
    peak = float(wave.abs().max())
    return wave * (LOUD / peak) if peak > 0 else wave


def _wav(wave: Tensor, rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave.numpy(), rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def safe(name: str) -> str:
    """The name without what file systems forbid, not longer than they allow, and none of the devices of Windows."""
    found = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", unicodedata.normalize("NFC", name))[:60].strip(" .")
    return f"_{found}" if RESERVED.fullmatch(found.partition(".")[0].strip()) else found
