"""Hugging Face data sets, from bytes and by path, and rows without a clip or a label."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from ddcore_audio.own import hf
from toy import HERE, tone, write

from ddcore.errors import OptionError

pytestmark = pytest.mark.usefixtures("cache")


def in_bytes(hertz):
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(hertz), 8000, format="WAV")
    return {"bytes": buffer.getvalue(), "path": None}


def hugging_face(sounds, labels, **columns):
    """A table of an audio column, a class column, and more audio columns that would be decoded."""
    import datasets

    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = {"audio": stored, "label": datasets.ClassLabel(names=["low", "high"]), **dict.fromkeys(columns, stored)}
    rows = {"audio": sounds, "label": labels, **columns}
    part = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    part = part.cast_column("audio", datasets.Audio(decode=False))
    return part.cast(datasets.Features({**part.features, **dict.fromkeys(columns, datasets.Audio())}))


def test_a_hugging_face_set(tmp_path):
    datasets = pytest.importorskip("datasets")

    def part(n):
        return hugging_face([in_bytes(300 + i) for i in range(n)], [i % 2 for i in range(n)])

    datasets.DatasetDict({"train": part(12), "test": part(4)}).save_to_disk(tmp_path / "set")
    problem = hf(tmp_path / "set", **HERE)
    assert problem.class_names == ("low", "high")
    assert len(problem.data.ids(split="test")) == 4
    assert len(problem.data.ids(split="val")) == 2
    with pytest.raises(OptionError, match="no column 'sound'"):
        hf(tmp_path / "set", audio="sound", **HERE)
    with pytest.raises(OptionError, match="either a local --data or the name"):
        hf(None, **HERE)


def test_hugging_face_rows_by_path_without_audio_without_label_and_damaged(tmp_path):
    pytest.importorskip("datasets")
    by_path = {"bytes": None, "path": str(write(tmp_path / "one.wav", tone(500)))}
    nowhere = None
    damaged = {"bytes": in_bytes(400)["bytes"][:20], "path": None}
    good = [in_bytes(300 + i) for i in range(10)]
    labels = [*(i % 2 for i in range(10)), 0, 1, 0, -1]
    sounds = [*good, by_path, nowhere, damaged, in_bytes(999)]
    hugging_face(sounds, labels, noise=[nowhere] * 13 + [damaged]).save_to_disk(tmp_path / "set")
    with pytest.warns(UserWarning, match="2 of 13 clips cannot be read") as told:
        problem = hf(tmp_path / "set", **HERE, domain="waveforms")
    assert "train row 11 (no audio in this row), train row 12 (" in str(told[0].message)
    wave = problem.synthetic.waveform(problem.data.x)
    assert wave.shape == (11, 8000)
    assert np.allclose(wave[10, 2000:6000], tone(500), atol=1e-4)
