"""What a set sounds like: the page, WAV files that score alike, Hugging Face sets, bytes; packed and tied sets."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import soundfile
import torch
import toy
from ddcore_audio.cepstra import Cepstra
from ddcore_audio.export import to_hf, to_wav
from ddcore_audio.own import folder
from ddcore_audio.packed import Formations, ShortClips
from ddcore_audio.show import safe, spectrogram

import ddcore
from ddcore.errors import ArtifactError, NotSupported, OptionError
from ddcore.evaluation import score, train
from ddcore.recipes import Recipe
from ddcore.rows import Rows, RowSynthetic

SHORT = Recipe("short@1", epochs=5, size=None)
IDC = {"steps": 3, "n_real": 4, "inner": 0}


pytestmark = pytest.mark.usefixtures("cache")


# ---------------------------------------------------------------------------------------------------------------------
# the page


@pytest.mark.parametrize("waveforms", [False, True])
def test_the_page_has_a_player_and_a_picture_for_the_first_clips_of_each_class(tmp_path, waveforms):
    problem = toy.problem(waveforms=waveforms)
    synthetic = ddcore.distill(problem, "random", ipc=4).synthetic(problem)
    page = problem.render(synthetic, tmp_path)
    text = page.read_text("utf-8")
    files = re.findall(r'<audio [^>]*src="([^"]+)"', text)
    assert len(files) == text.count("data:image/png;base64,") == 9
    assert sorted(files) == sorted(f.name for f in tmp_path.glob("*.wav"))
    assert files[0] == "000-low-1.wav"
    assert text.count("and 1 more") == 3
    assert "http" not in text, "nothing is loaded from elsewhere"
    wave, rate = soundfile.read(tmp_path / files[0])
    assert (rate, len(wave)) == (toy.RATE, toy.SAMPLES)
    assert np.abs(wave).max() == pytest.approx(0.9, abs=1e-3)
    if waveforms:
        want = problem.synthetic.waveform(synthetic.batch().x)[0].numpy()
        assert np.abs(wave - want * 0.9 / np.abs(want).max()).max() < 1e-4
    first = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    problem.render(synthetic, tmp_path)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == first


PLAYED = {
    "distrack": ({"waveforms": True}, "audio/distrack", {"steps": 1, "n_real": 4, "pieces": 2}, 6),
    "ddfad": (
        {"kind": "mfcc"},
        "audio/ddfad",
        {"steps": 1, "experts": 1, "train_epochs": 2, "syn_steps": 1, "max_start_epoch": 1, "planes": "tied"},
        3,
    ),
    "ser-bptt": ({}, "audio/ser-bptt", {"steps": 1, "n_real": 8}, 3),
    "mel": ({"kind": "mel"}, "random", {}, 3),
    "mfcc": ({"kind": "mfcc"}, "random", {}, 3),
}


@pytest.mark.parametrize("of", list(PLAYED))
def test_every_set_is_played_and_exported_as_what_networks_read(tmp_path, of):
    how, method, options, clips = PLAYED[of]
    problem = toy.problem(**how)
    made = ddcore.distill(problem, method, ipc=1, options=options)
    made.save(tmp_path / "set")
    played = sorted(f.name for f in (tmp_path / "set").glob("*.wav"))
    assert len(played) == (tmp_path / "set" / "page.html").read_text("utf-8").count("<audio ") == clips
    to_wav(made, problem, tmp_path / "out")
    waves = [soundfile.read(f, dtype="float32")[0] for f in sorted((tmp_path / "out").rglob("*.wav"))]
    want = problem.synthetic.waveform(made.synthetic(problem).batch().x).numpy()
    assert np.array_equal(np.stack(waves), want)
    assert want.any(1).all()
    loud = soundfile.read(tmp_path / "set" / played[0], dtype="float32")[0]
    assert np.abs(loud - 0.9 * want[0] / np.abs(want[0]).max()).max() < 1e-4


@pytest.mark.parametrize("name", ["con", "NUL", "Com1", "lpt9.txt", "aux .b", "a:b", "..", "x" * 100, "CONTROL"])
def test_folder_names_are_those_of_every_file_system(name):
    found = safe(name)
    devices = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(10))}
    assert found.partition(".")[0].strip().upper() not in devices, "with any ending they are no files of Windows"
    assert not set(found) & set('\\/:*?"<>|')
    assert len(found) <= 61
    assert (found == name) == (name == "CONTROL")


def test_low_is_at_the_bottom_and_loud_is_bright():
    features = toy.problem().synthetic.features
    plain = type(features)(features.frontend)
    wave = torch.zeros(toy.SAMPLES)
    wave[2000:] = 0.5 * torch.sin(2 * torch.pi * 200 * torch.arange(2000) / toy.RATE)
    picture = np.asarray(spectrogram(plain, wave), np.int64).sum(2)  # (bands, frames)
    row, frame = np.unravel_index(picture.argmax(), picture.shape)
    assert row > picture.shape[0] / 2
    assert frame > picture.shape[1] / 2


def test_an_artifact_carries_its_page(tmp_path):
    made = ddcore.distill(toy.problem(), "random", ipc=1).save(tmp_path / "set")
    assert made.manifest["picture"] == "page.html"
    assert {"page.html", "000-low-1.wav", "002-high-1.wav"} <= set(made.manifest["files"])


# ---------------------------------------------------------------------------------------------------------------------
# WAV files


def test_a_waveform_written_and_read_back_scores_the_same(tmp_path):
    problem = toy.problem(waveforms=True)
    made = ddcore.distill(problem, "dm", ipc=2, options={"steps": 2, "pool": 1})
    first, again = to_wav(made, None, tmp_path / "a"), to_wav(made, None, tmp_path / "b")
    files = sorted(f.relative_to(first) for f in first.rglob("*.wav"))
    assert [f.as_posix() for f in files[:2]] == ["0-low/0001.wav", "0-low/0002.wav"]
    assert all((first / f).read_bytes() == (again / f).read_bytes() for f in files), "the time of writing is in them"
    info = soundfile.info(first / files[0])
    assert (info.subtype, info.channels, info.samplerate) == ("FLOAT", 1, toy.RATE)
    x = torch.stack([torch.from_numpy(soundfile.read(first / f, dtype="float32")[0]) for f in files])
    assert torch.equal(x, problem.synthetic.waveform(made.tensors["x"]))
    back = RowSynthetic(dict.fromkeys(problem.data.groups, 2), x / problem.synthetic.scale)
    assert torch.equal(back.x, made.tensors["x"]), "the unit is a power of two: nothing is rounded"
    scores = [score(problem, train(problem, s, SHORT, 0)) for s in (made.synthetic(problem), back)]
    nets = [train(problem, s, SHORT, 0).state_dict() for s in (made.synthetic(problem), back)]
    assert scores[0] == scores[1]
    assert all(torch.equal(v, nets[1][k]) for k, v in nets[0].items())


def test_the_exported_folder_is_a_problem_with_the_same_rows(tmp_path):
    problem = toy.problem(waveforms=True)
    made = ddcore.distill(problem, "random", ipc=3)
    to_wav(made, None, tmp_path / "out")
    own = folder(tmp_path / "out", sample_rate=toy.RATE, bands=16, window=256, hop=250, domain="waveforms", depth=2)
    assert own.class_names == ("0-low", "1-mid", "2-high")
    rows = [p.synthetic.waveform(x) for p, x in ((own, own.data.x), (problem, made.tensors["x"]))]
    assert {tuple(r.tolist()) for r in rows[0]} == {tuple(r.tolist()) for r in rows[1]}


def test_soft_labels_are_in_a_table(tmp_path):
    problem = toy.problem()
    made = ddcore.distill(problem, "ld", ipc=1, options={"steps": 2, "n_real": 8})
    to_wav(made, None, tmp_path / "out")
    lines = (tmp_path / "out" / "labels.csv").read_text().splitlines()
    assert lines[0] == "file,0-low,1-mid,2-high"
    assert np.allclose([float(v) for v in lines[1].split(",")[1:]], made.tensors["y"][0].numpy(), atol=1e-6)


def test_packed_sets_are_exported_as_what_they_decode_to(tmp_path):
    problem = toy.problem()
    made = ddcore.distill(problem, "audio/kws-idc", ipc=1, options=IDC)
    with pytest.raises(ArtifactError, match="give the problem too"):
        to_wav(made, None, tmp_path / "out")
    to_wav(made, problem, tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 3 * 4


def test_labels_that_audio_files_cannot_have(tmp_path):
    made = ddcore.distill(toy.problem(), "frepo", ipc=1, options={"steps": 1})
    assert made.manifest["label_kind"] == "values"
    with pytest.raises(NotSupported, match="export to pt"):
        to_wav(made, None, tmp_path / "out")


def test_a_hugging_face_set_of_sounds(tmp_path):
    datasets = pytest.importorskip("datasets")
    problem = toy.problem(waveforms=True)
    made = ddcore.distill(problem, "random", ipc=2)
    to_hf(made, None, tmp_path / "out")
    found = datasets.load_from_disk(str(tmp_path / "out"))
    assert found.features["label"].names == ["low", "mid", "high"]
    assert found["label"] == [0, 0, 1, 1, 2, 2]
    assert found.features["audio"].sampling_rate == toy.RATE
    import io

    read = [soundfile.read(io.BytesIO(row["bytes"]), dtype="float32")[0] for row in found["audio"]]
    assert np.array_equal(np.stack(read), problem.synthetic.waveform(made.tensors["x"]).numpy())


# ---------------------------------------------------------------------------------------------------------------------
# bytes


def test_bytes_of_waveforms_and_of_maps():
    made = {w: ddcore.distill(toy.problem(waveforms=w), "random", ipc=2) for w in (False, True)}
    planes, rows, frames = toy.frontend().shape
    assert made[True].manifest["bytes"]["data"] == 6 * 4 * toy.SAMPLES
    assert made[False].manifest["bytes"]["data"] == 6 * 4 * planes * rows * frames
    assert made[False].manifest["bytes"]["labels"] == 6 * 8


# ---------------------------------------------------------------------------------------------------------------------
# packed and tied sets


def test_formations_are_quarters_brought_to_full_size():
    problem = toy.problem()
    sound, counts = problem.synthetic, dict.fromkeys(problem.data.groups, 2)
    s = Formations.of(counts, None, sound, (2, 2), random.Random(0))
    assert s.counts == dict.fromkeys(counts, 8)
    x = s.x.detach()  # (6, 1, 16, 17)
    quarters = [x[..., :8, :8], x[..., :8, 8:], x[..., 8:, :8], x[..., 8:, 8:]]
    batch = s.batch()
    for k, quarter in enumerate(quarters):
        want = torch.nn.functional.interpolate(quarter, (16, 17), mode="bilinear")
        assert torch.allclose(batch.x[k::4], want)
    assert batch.y.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    some = s.take([9, 2, 9])
    assert torch.equal(some.x, batch.x[[9, 2, 9]])
    (d,) = torch.autograd.grad(batch.x.sum(), s.x)
    assert (d != 0).all()


def test_formations_start_near_the_rows_they_are_filled_with():
    problem = toy.problem()
    start = problem.data.take([i for g in problem.data.groups for i in problem.data.ids(g)[:4]])
    s = Formations.of(dict.fromkeys(problem.data.groups, 1), start.x, problem.synthetic, (2, 2), random.Random(0))
    alike = torch.nn.functional.cosine_similarity(s.batch().x.flatten(1), start.x.flatten(1))
    assert alike.min() > 0.5


@pytest.mark.parametrize("waveforms", [False, True])
def test_short_clips_are_parts_of_time_with_silence_behind(waveforms):
    problem = toy.problem(waveforms=waveforms)
    sound, counts = problem.synthetic, dict.fromkeys(problem.data.groups, 1)
    s = ShortClips.of(counts, None, sound, (1, 2), random.Random(0))
    length = sound.shape[-1]
    half = length // 2
    batch = s.batch()
    assert batch.x.shape == (6, *sound.shape)
    assert torch.equal(batch.x[0::2][..., :half], s.x[..., :half])
    assert torch.equal(batch.x[1::2][..., : length - half], s.x[..., half:])
    silent = batch.x[0::2][..., half:]
    if waveforms:
        assert not silent.any()
    else:
        raw = sound.features.undo(silent)
        assert torch.allclose(raw, torch.tensor(1e-6).log(), atol=1e-2)


def test_cepstra_give_three_planes_of_one():
    problem = toy.problem("mfcc")
    start = problem.data.take(list(problem.data.ids())[:3])
    s = Cepstra({0: 1, 1: 1, 2: 1}, start.x, problem.synthetic)
    assert s.x.shape[1] == 1
    assert torch.allclose(s.batch().x, start.x, atol=1e-3)


def test_rows_that_cannot_be_played():
    with pytest.raises(NotSupported, match="cannot be played"):
        toy.problem().synthetic.waveform(Rows(torch.zeros(2, 1, 3, 3)).x)


def test_bands_of_waveforms_cannot_be_packed():
    problem = toy.problem(waveforms=True)
    with pytest.raises(OptionError, match="no bands"):
        Formations.of(dict.fromkeys(problem.data.groups, 1), None, problem.synthetic, (2, 1), random.Random(0))
