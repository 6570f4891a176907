"""Public formats and folders of the user's own, in small copies; and what is wrong with them, said clearly."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
import soundfile
import torch
from ddcore_audio.clips import to_clip
from ddcore_audio.data import MappedClips, evenly
from ddcore_audio.frontend import Frontend
from ddcore_audio.own import folder, hf
from ddcore_audio.problems import audio_problem, digits, esc10, esc50, fsdd, speech_commands, urbansound8k
from ddcore_audio.voices import VOICES, Utterance, speak

import ddcore
from ddcore.errors import BudgetError, DataError, OptionError
from ddcore.parametrizations import Selected
from ddcore.seeds import stream

HERE = {"sample_rate": 8000, "bands": 16, "window": 320, "hop": 160, "depth": 2, "width": 8}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))


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


# ---------------------------------------------------------------------------------------------------------------------
# a clip


def test_a_clip_is_mono_resampled_and_centred():
    stereo = np.stack([tone(seconds=0.25), -0.5 * tone(seconds=0.25)], 1)
    found = to_clip(stereo, 8000, 8000, 4000)
    assert np.allclose(found[1000:3000], 0.25 * tone(seconds=0.25), atol=1e-6)
    assert not found[:1000].any()
    assert not found[3000:].any()
    long = np.arange(10, dtype=np.float32)[:, None]
    assert to_clip(long, 8000, 8000, 4).tolist() == [3, 4, 5, 6]
    fast = to_clip(tone(440, 1.0, 44_100)[:, None], 44_100, 8000, 8000)
    assert np.abs(fast[500:-500] - tone(440, 1.0)[500:-500]).max() < 1e-2


def test_rates_without_a_common_divisor_need_no_filter_of_gigabytes(monkeypatch):
    monkeypatch.setattr("ddcore_audio.clips._resampler", lambda *_: pytest.fail("44,101 x 16,000 numbers"))
    found = to_clip(tone(440, 1.0, 44_101)[:, None], 44_101, 16_000, 16_000)
    assert np.abs(found[500:-500] - tone(440, 1.0, 16_000)[500:-500]).max() < 1e-2


# ---------------------------------------------------------------------------------------------------------------------
# your own


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


# ---------------------------------------------------------------------------------------------------------------------
# public formats


def test_fsdd_by_takes_and_by_speakers(tmp_path):
    for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"):
        for digit in range(10):
            for take in (0, 4, 5, 6, 7):
                write(tmp_path / "recordings" / f"{digit}_{speaker}_{take}.wav", tone(300 + 50 * digit, 0.1))
    takes = fsdd(tmp_path, bands=16, depth=2, width=8)
    assert len(takes.data.ids(split="test")) == 6 * 10 * 2
    assert len(takes.data.ids(7, split="test")) == 12
    speakers = fsdd(tmp_path, split="speakers", bands=16, depth=2, width=8)
    assert [len(speakers.data.ids(split=s)) for s in ("train", "val", "test")] == [150, 50, 100]


def test_fsdd_in_one_file(tmp_path):
    folder = os.environ.get("DDCORE_TEST_DATA")
    if not folder or not (Path(folder) / "audio" / "fsdd").is_dir():
        pytest.skip("DDCORE_TEST_DATA has no audio/fsdd")
    problem = fsdd(Path(folder) / "audio" / "fsdd", width=8)
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [2430, 270, 300]
    with (Path(folder) / "audio" / "fsdd" / "index.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert problem.data.y.tolist() == [int(r["digit"]) for r in rows]
    assert list(problem.data.ids(split="test")) == [i for i, r in enumerate(rows) if r["split"] == "test"]


def test_speech_commands_by_its_lists(tmp_path):
    tmp_path /= "words"
    for word in ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_background_noise_"):
        for i in range(6):
            write(tmp_path / word / f"{i}.wav", tone(300, 0.3, 16_000), 16_000)
    (tmp_path / "validation_list.txt").write_text("yes/0.wav\nno/0.wav\n")
    (tmp_path / "testing_list.txt").write_text("yes/1.wav\nno/1.wav\nup/1.wav\n")
    problem = speech_commands(tmp_path, words="commands", width=8)
    assert problem.class_names[0] == "yes"
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [55, 2, 3]
    assert len(speech_commands(tmp_path, width=8).class_names) == 10
    with pytest.raises(DataError, match="no folder zero, one"):
        speech_commands(tmp_path, words="digits")


def folds(problem, fold_of):
    """The folds of the clips of each split; `fold_of` says which fold the tone of a pitch is in."""
    found = {}
    for split in ("train", "val", "test"):
        wave = problem.synthetic.waveform(problem.data.take(problem.data.ids(split=split)).x)
        hertz = torch.fft.rfft(wave).abs().argmax(1) * problem.synthetic.frontend.sample_rate / wave.shape[1]
        found[split] = sorted({fold_of(float(f)) for f in hertz})
    return found


@pytest.mark.parametrize(("make", "classes"), [(esc50, 3), (esc10, 2)])
def test_esc_by_its_folds(tmp_path, make, classes):
    rows = []
    for target, (category, ten) in enumerate((("dog", True), ("rain", True), ("clock", False))):
        for fold in range(1, 6):
            for take in range(2):
                name = f"{fold}-{target}-{take}.wav"
                write(tmp_path / "audio" / name, tone(100 + 200 * fold, 0.3))
                rows.append({"filename": name, "fold": fold, "target": target, "category": category, "esc10": ten})
    table(tmp_path / "meta" / "esc50.csv", rows)
    how = {"sample_rate": 4000, "bands": 16, "depth": 2, "width": 8, "domain": "waveforms"}
    problem = make(tmp_path, fold=1, **how)
    assert len(problem.class_names) == classes
    by_fold = {
        1: folds(problem, lambda f: round((f - 100) / 200)),
        5: folds(make(tmp_path, **how), lambda f: round((f - 100) / 200)),
    }
    assert by_fold == {
        1: {"train": [2, 3, 4], "val": [5], "test": [1]},
        5: {"train": [1, 2, 3], "val": [4], "test": [5]},
    }
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [6 * classes, 2 * classes, 2 * classes]
    with pytest.raises(OptionError, match="folds 1 to 5"):
        make(tmp_path, fold=6)
    (tmp_path / "audio" / "1-0-0.wav").unlink()
    with pytest.raises(DataError, match=r"1 of .* files of its table are missing"):
        make(tmp_path)


def test_urbansound_by_its_folds(tmp_path):
    rows = []
    for fold in range(1, 11):
        for number, name in ((0, "siren"), (1, "drilling")):
            file = f"{fold}-{number}.wav"
            write(tmp_path / "audio" / f"fold{fold}" / file, tone(100 * (1 + fold), 0.2))
            rows.append({"slice_file_name": file, "fold": fold, "classID": number, "class": name})
    table(tmp_path / "metadata" / "UrbanSound8K.csv", rows)
    problem = urbansound8k(tmp_path, sample_rate=4000, bands=16, depth=2, width=8, domain="waveforms")
    assert problem.class_names == ("siren", "drilling")
    assert [len(problem.data.ids(split=s)) for s in ("train", "val", "test")] == [16, 2, 2]
    found = folds(problem, lambda f: round(f / 100) - 1)
    assert found == {"train": list(range(1, 9)), "val": [9], "test": [10]}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (fsdd, "recordings"),
        (speech_commands, "speech_commands_v0.02"),
        (esc50, "esc50.csv"),
        (urbansound8k, "metadata"),
    ],
)
def test_data_that_is_not_there_says_what_goes_where(tmp_path, make, said):
    for place in (None, tmp_path):
        with pytest.raises(DataError, match=said) as error:
            make(place)
        assert "--data" in str(error.value)


# ---------------------------------------------------------------------------------------------------------------------
# spoken digits


def test_voices_are_in_one_split_alone_and_say_the_same_again():
    voices = [v for split in VOICES.values() for v in split]
    assert len(set(voices)) == len(voices) == 52
    known = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    assert all((known / v).is_file() for v in voices), "an unknown variant is spoken by the plain voice"
    said = [Utterance("seven", "en-us", "croak", 150, 40), Utterance("seven", "en-029", "m3", 150, 40)]
    first, again = speak(said), speak(said)
    assert first[0][1] == 22_050
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert not np.array_equal(first[0][0], first[1][0])
    assert 0.1 < len(first[0][0]) / first[0][1] < 1.0
    with pytest.raises(DataError, match="no voice"):
        speak([Utterance("seven", "tlh", "f2", 150, 40)])


def test_every_digit_is_there_in_every_split():
    problem = digits(width=8, depth=2)
    assert {s: len(problem.data.ids(3, s)) for s in ("train", "val", "test")} == {"train": 72, "val": 24, "test": 30}


SPOKEN_SUM = """
import hashlib
from ddcore_audio.voices import speak, utterances
said = speak([utterance for _, _, utterance in utterances()[::40]])
print(hashlib.sha256(b"".join(wave.tobytes() for wave, _ in said)).hexdigest())
"""


def test_another_process_speaks_the_same(capsys):
    done = subprocess.run([sys.executable, "-c", SPOKEN_SUM], capture_output=True, text=True, check=True)
    exec(SPOKEN_SUM, {})
    assert done.stdout == capsys.readouterr().out


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


def test_arrays_of_another_length(tmp_path):
    problem = folder(two_classes(tmp_path), **HERE)
    with pytest.raises(DataError, match="cut and resample first"):
        audio_problem(
            np.zeros((4, 7), np.float32), np.zeros(4, np.int64), {"train": [0]}, ["a"], problem.synthetic.frontend
        )


ARRAYS = {
    "wave": np.zeros((4, 8000), np.float32),
    "y": np.arange(4) % 2,
    "splits": {"train": [0, 1], "val": [], "test": [2, 3]},
    "class_names": ["a", "b"],
    "frontend": Frontend("log-mel", 8000, 8000, 512, 320, 160, 16, 20.0, 4000.0),
}


@pytest.mark.parametrize("large", [False, True], ids=["in memory", "mapped"])
@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e25], ids=["nan", "inf", "huge"])
@pytest.mark.parametrize("row", [1, 2], ids=["train", "test"])
def test_what_is_no_sample_is_found_in_its_row(monkeypatch, row, value, large):
    wave = ARRAYS["wave"].copy()
    wave[row, 5] = value
    monkeypatch.setattr("ddcore_audio.data.IN_MEMORY_BYTES", 0 if large else 2**31)
    with pytest.raises(DataError, match=rf"1 of 4 clips hold .*first: row {row}\)"):
        audio_problem(**ARRAYS | {"wave": wave}, depth=2, width=8)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wave": np.zeros((4, 8000), np.int16)}, "got int16 and int64: convert them, and divide"),
        ({"wave": np.zeros((4, 8000))}, "got float64 and int64"),
        ({"y": np.array([0, 1, 2, 0])}, "row 2 has class 2, and the 2 classes are 0 to 1"),
        ({"splits": {"train": [0, 1], "val": [2, 3]}}, "row ids of test are missing"),
        ({"splits": {"train": [0, 4], "test": [2]}}, "name row 4, and the rows are 0 to 3"),
        ({"splits": {"train": [], "test": [2]}}, "training split is empty"),
    ],
    ids=["int16", "float64", "class", "split", "row", "empty"],
)
def test_arrays_that_are_no_clips(wrong, said):
    with pytest.raises(DataError, match=said):
        audio_problem(**ARRAYS | wrong, depth=2, width=8)


def test_normalisation_looks_at_every_class_of_sorted_rows():
    assert evenly(range(100), 10).tolist() == list(range(0, 100, 10))
    assert evenly([5, 3, 9], 10).tolist() == [3, 5, 9]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fold": "one"}, "row 3: fold is 'one', no whole number"),
        ({"target": "-1"}, "row 3: target is '-1', no whole number"),
        ({"category": None}, "row 3: category missing"),
    ],
    ids=["word", "negative", "short"],
)
def test_a_table_with_a_damaged_row(tmp_path, change, said):
    rows = [{"filename": f"{i}.wav", "fold": 1, "target": 0, "esc10": True, "category": "dog"} for i in range(3)]
    table(tmp_path / "meta" / "esc50.csv", rows)
    lines = (tmp_path / "meta" / "esc50.csv").read_text().splitlines()
    lines[2] = ",".join(str(v) for v in (rows[1] | change).values() if v is not None)
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=said):
        esc50(tmp_path)


def test_an_index_with_a_digit_that_is_none(tmp_path):
    row = {"file": "12_theo_0.wav", "digit": 12, "speaker": "theo", "index": 0, "offset": 0, "length": 10}
    table(tmp_path / "index.csv", [row])
    with pytest.raises(DataError, match="has the digit 12: expected 0 to 9"):
        fsdd(tmp_path)


def test_data_without_a_test_clip_is_named(tmp_path):
    for digit in range(10):
        write(tmp_path / f"{digit}_george_7.wav", tone(300 + 50 * digit, 0.1))
    with pytest.raises(DataError, match="fsdd: none of its 10 clips is a readable test clip: unpack it again"):
        fsdd(tmp_path, bands=16, depth=2, width=8)


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
