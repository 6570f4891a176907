"""Public formats, in small copies, and what is wrong with some of them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import torch
from ddcore_audio.problems import esc10, esc50, fsdd, speech_commands, urbansound8k
from toy import table, tone, write

from ddcore.errors import DataError, OptionError

pytestmark = pytest.mark.usefixtures("cache")


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
# bad input


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
