"""A small problem of tones: three classes of pitch, 16 frames, and networks that are small; and files of tones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile
import torch
from ddcore_audio.frontend import Frontend
from ddcore_audio.problems import audio_problem

RATE, SAMPLES = 4000, 4000
HERE = {"sample_rate": 8000, "bands": 16, "window": 320, "hop": 160, "depth": 2, "width": 8}


def frontend(kind="log-mel", **more):
    return Frontend(
        **{
            "kind": kind,
            "sample_rate": RATE,
            "samples": SAMPLES,
            "n_fft": 256,
            "window": 256,
            "hop": 250,
            "bands": 16,
            "high": RATE / 2,
            "coefficients": 8,
            **more,
        }
    )


def tones(n=20, seed=0):
    """(3 n, samples) and their classes: tones of about 300, 700 and 1,300 Hz, at some time, in a little noise."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(3).repeat_interleave(n)
    pitch = torch.tensor([300.0, 700.0, 1300.0])[y] * (1 + 0.1 * torch.rand(3 * n, generator=g))
    t = torch.arange(SAMPLES) / RATE
    start = 0.5 * torch.rand(3 * n, 1, generator=g)
    loud = ((t > start) & (t < start + 0.4)).float()
    wave = 0.3 * torch.sin(2 * torch.pi * pitch[:, None] * t) * loud + 0.01 * torch.randn(3 * n, SAMPLES, generator=g)
    return wave.numpy(), y.numpy()


def splits(n=20):
    ids = {"train": range(n - 6), "val": range(n - 6, n - 3), "test": range(n - 3, n)}
    return {s: [c * n + i for c in range(3) for i in at] for s, at in ids.items()}


def problem(kind="log-mel", *, waveforms=False, n=20, **more):
    wave, y = tones(n)
    domain = "waveforms" if waveforms else "maps"
    return audio_problem(
        wave.astype(np.float32),
        y,
        splits(n),
        ["low", "mid", "high"],
        frontend(kind, **more),
        domain=domain,
        depth=2,
        width=8,
    )


def tone(hertz=440.0, seconds=0.5, rate=8000):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, wave=None, rate=8000, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if wave is None else wave, rate, **how)
    return path


def two_classes(root: Path, n=10):
    for c, hertz in (("high", 1000), ("low", 300)):
        for i in range(n):
            write(root / c / f"{i:02}.wav", tone(hertz + i))
    return root


def table(path: Path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
