"""Folders of the user's own, with all their faults."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcore_audio.data import MappedClips
from ddcore_audio.own import folder
from toy import HERE, tone, two_classes, write

import ddcore
from ddcore.errors import BudgetError, DataError
from ddcore.parametrizations import Selected
from ddcore.seeds import stream

pytestmark = pytest.mark.usefixtures("cache")


def test_a_folder_of_formats_rates_and_channels_is_one_problem(tmp_path):
    root = two_classes(tmp_path / "mine")
    write(root / "high" / "stereo.flac", np.stack([tone(1000), tone(1000)], 1))
    write(root / "high" / "fast.ogg", tone(1000, rate=44_100), 44_100)
    write(root / "low" / "sub" / "float.wav", tone(300), subtype="FLOAT")
    write(root / "low" / "c.mp3", tone(300, rate=16_000), 16_000)
    problem = folder(root, **HERE)
    assert problem.class_names == ("high", "low")
    sizes = {s: len(problem.data.ids(split=s)) for s in ("train", "val", "test")}
    assert sum(sizes.values()) == 24
    assert sizes["val"] == sizes["test"] == 2
    assert problem.data.split is not None, "a split that was drawn is stored"
    assert problem.data.x.shape == (24, 1, 16, 51)


def test_split_folders_are_taken_as_they_are(tmp_path):
    for split, n in (("train", 6), ("valid", 2), ("test", 3)):
        two_classes(tmp_path / split, n)
    problem = folder(tmp_path, **HERE)
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [12, 4, 6]
    assert problem.data.split is None


def test_float_files_are_read_bit_by_bit(tmp_path):
    root = two_classes(tmp_path / "mine")
    wave = (1.5 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)  # beyond full scale
    write(root / "low" / "00.wav", wave, subtype="FLOAT")
    problem = folder(root, **HERE, domain="waveforms")
    assert any(np.array_equal(row.numpy(), wave) for row in problem.synthetic.waveform(problem.data.x))


def test_the_same_files_are_decoded_once(tmp_path, monkeypatch):
    root = two_classes(tmp_path / "mine")
    first = folder(root, **HERE).fingerprint()
    monkeypatch.setattr("ddcore.packing._decode", lambda *_: pytest.fail("decoded again"))
    assert folder(root, **HERE).fingerprint() == first
    monkeypatch.undo()
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    write(root / "low" / "00.wav", tone(500))
    os.utime(root / "low" / "00.wav", (1, 1))
    assert folder(root, **HERE).fingerprint() != first


@pytest.mark.parametrize("domain", ["maps", "waveforms"])
def test_sets_that_do_not_fit_into_memory_have_the_same_rows(tmp_path, monkeypatch, domain):
    root = two_classes(tmp_path / "mine")
    small = folder(root, **HERE, domain=domain)
    monkeypatch.setattr("ddcore_audio.data.IN_MEMORY_BYTES", 0)
    large = folder(root, **HERE, domain=domain)
    assert isinstance(large.data, MappedClips)
    assert large.data.groups == small.data.groups
    ids = [19, 0, 7, 7]
    a, b = large.data.take(ids), small.data.take(ids)
    assert torch.allclose(a.x, b.x, atol=1e-5)
    assert torch.equal(a.y, b.y)
    assert large.data.split == small.data.split
    assert large.data.bytes() == 16 * 8000 * 4
    assert large.fingerprint() == folder(root, **HERE, domain=domain).fingerprint()
    other = folder(root, **HERE | {"hop": 150}, domain=domain)
    assert large.fingerprint() != other.fingerprint()


# ---------------------------------------------------------------------------------------------------------------------
# bad input


def test_unreadable_clips_are_named_and_left_out(tmp_path):
    root = two_classes(tmp_path / "mine")
    write(root / "low" / "empty.wav", np.zeros(0, np.float32))
    write(root / "low" / "nan.wav", np.full(100, np.nan, np.float32), subtype="FLOAT")
    (root / "low" / "text.wav").write_text("not a sound")
    codec = bytearray((root / "low" / "00.wav").read_bytes())
    codec[20:22] = (0x4D4D).to_bytes(2, "little")
    (root / "low" / "codec.wav").write_bytes(codec)
    (root / "low" / "phone.M4A").write_bytes(b"\0\0\0\x18ftypM4A ")
    write(root / "low" / "loud.wav", np.full(100, 1e25, np.float32), subtype="FLOAT")
    (root / "low" / "nothing.mp3").touch()
    (root / "low" / "readme.txt").write_text("no clip")
    with pytest.warns(UserWarning, match="7 of 27 clips cannot be read") as told:
        problem = folder(root, **HERE)
    said = str(told[0].message)
    for name in ("empty.wav (no samples)", "nan.wav (NaN or infinity)", "loud.wav (samples beyond 1e+06)", "codec.wav"):
        assert name in said
    assert "all of them: " in said
    listed = Path(said.rpartition("all of them: ")[2]).read_text()
    for name in ("phone.M4A (Format not recognised: convert it to wav or flac)", "nothing.mp3 (an empty file)"):
        assert name in listed
    assert sum(len(problem.data.ids(split=s)) for s in ("train", "val", "test")) == 20


def test_clipped_clips_are_named_and_kept(tmp_path):
    root = two_classes(tmp_path / "mine")
    write(root / "low" / "loud.wav", np.clip(10 * tone(300), -1, 1))
    write(root / "low" / "beyond.wav", 10 * tone(300), subtype="FLOAT")  # larger than full scale, and whole
    with pytest.warns(UserWarning, match=r"1 of 22 clips are clipped .*loud\.wav"):
        problem = folder(root, **HERE)
    assert sum(len(problem.data.ids(split=s)) for s in ("train", "val", "test")) == 22


def test_a_class_of_unreadable_clips(tmp_path):
    root = two_classes(tmp_path / "mine")
    (root / "mid").mkdir()
    (root / "mid" / "a.wav").write_text("not a sound")
    with pytest.warns(UserWarning, match="cannot be read"), pytest.raises(DataError, match="clip in class mid"):
        folder(root, **HERE)


def test_a_class_with_one_clip_trains_but_cannot_give_two(tmp_path):
    root = two_classes(tmp_path / "mine")
    write(root / "mid" / "only.wav", tone(600))
    problem = folder(root, **HERE)
    assert len(problem.data.ids(2)) == 1
    assert not problem.data.ids(2, "test")
    assert Selected.random(problem.data, dict.fromkeys(problem.data.groups, 1), stream(0)).counts[2] == 1
    with pytest.raises(BudgetError, match="class 'mid' has 1 training rows"):
        ddcore.distill(problem, "random", ipc=2)


def test_folders_that_are_no_classes(tmp_path):
    with pytest.raises(DataError, match="needs --data FOLDER"):
        folder(None, **HERE)
    write(tmp_path / "only" / "a.wav")
    with pytest.raises(DataError, match="1 class folders"):
        folder(tmp_path, **HERE)


@pytest.mark.parametrize("change", [{"hop": 200}, {"bands": 20}, {"frontend": "mel"}, {"domain": "waveforms"}])
def test_a_frontend_that_does_not_match_the_artifact(tmp_path, change):
    root = two_classes(tmp_path / "mine")
    made = ddcore.distill(folder(root, **HERE), "random", ipc=1)
    assert "hop=160, bands=16" in made.manifest["input_space"]
    other = folder(root, **HERE | change)
    with pytest.raises(ddcore.errors.ArtifactError) as error:
        made.synthetic(other)
    assert made.manifest["input_space"] in str(error.value)
    assert other.input_space in str(error.value)
    assert torch.equal(made.synthetic(folder(root, **HERE)).batch().x, made.tensors["x"])
