"""Readers: the public on-disk formats of audio sets."""

from __future__ import annotations

import csv
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

import soundfile

from ddcore.errors import DataError, OptionError
from ddcore.packing import class_folders, listing_key

from .clips import Clip, audio_files, clip
from .voices import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .clips import Recording

__all__ = ["read_esc", "read_fsdd", "read_speech_commands", "read_urbansound"]

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


SPEAKERS = {"nicolas": "val", "theo": "test", "yweweler": "test"}
"""Of FSDD's six, those that are held out with `split = "speakers"`."""


def _missing(of: str, data: Path | None, what: str, source: str) -> DataError:
    """What was looked for, where to get it, and where to put it."""
    if data is None:
        found = f"{of} is not part of the install, and nothing is downloaded: get {what}"
    else:
        found = f"{of}: {what} is not in {data}: put it there"
    return DataError(f"{found}, and give that folder as --data. It comes from {source}")


def _table(file: Path, columns: Sequence[str], numbers: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file that has these columns, in those of `numbers` whole numbers."""
    try:
        with file.open(newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read ({error}): download it again") from error
    if not rows:
        raise DataError(f"{file}: expected rows with {', '.join([*columns, *numbers])}, and there are none")
    for line, row in enumerate(rows, 2):
        if lacking := [c for c in (*columns, *numbers) if row.get(c) is None]:
            raise DataError(f"{file}, row {line}: {', '.join(lacking)} missing: download it again")
        if wrong := [c for c in numbers if not re.fullmatch(r"[0-9]+", row[c])]:
            raise DataError(f"{file}, row {line}: {wrong[0]} is {row[wrong[0]]!r}, no whole number: download it again")
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# FSDD


def read_fsdd(data: Path | None, split: Literal["takes", "speakers"]) -> tuple[list[Clip], str]:
    """The files {digit}_{speaker}_{take}.wav of `recordings`, or their samples in one file with an index."""
    if data is None or not data.is_dir():
        raise _missing(
            "fsdd", data, "the folder recordings of its repository", "github.com/Jakobovski/free-spoken-digit-dataset"
        )

    def of(digit: str, speaker: str, take: str) -> str:
        if split == "speakers":
            return SPEAKERS.get(speaker, "train")
        return "test" if int(take) < 5 else "train"

    if (data / "index.csv").is_file():
        return _fsdd_in_one(data, of)
    root = data / "recordings" if (data / "recordings").is_dir() else data
    files = [f for f in audio_files(root) if re.fullmatch(r"\d_[^_]+_\d+", f.stem)]
    if not files:
        raise _missing(
            "fsdd", data, "recordings/0_george_0.wav and its like", "github.com/Jakobovski/free-spoken-digit-dataset"
        )
    clips = [clip(of(*f.stem.split("_")), f.name, int(f.stem[0]), f) for f in files]
    return clips, listing_key(files, root)


def _fsdd_in_one(data: Path, of: Callable[[str, str, str], str]) -> tuple[list[Clip], str]:
    rows = _table(data / "index.csv", ["file", "speaker"], ["digit", "index", "offset", "length"])
    if unknown := [r for r in rows if int(r["digit"]) > 9]:
        raise DataError(
            f"{data / 'index.csv'}: {unknown[0]['file']} has the digit {unknown[0]['digit']}: expected 0 to 9"
        )
    files = audio_files(data)
    if len(files) != 1:
        raise DataError(f"{data}: expected one audio file beside index.csv, which says where in it each clip is")
    whole = cache(partial(soundfile.read, files[0], dtype="float32", always_2d=True))
    clips: list[Clip] = []
    for r in rows:
        start = int(r["offset"])
        part = partial(_part, whole, start, start + int(r["length"]))
        clips.append((of(r["digit"], r["speaker"], r["index"]), r["file"], int(r["digit"]), part))
    return clips, listing_key([data / "index.csv", *files], data)


def _part(whole: Callable[[], Recording], start: int, stop: int) -> Recording:
    samples, rate = whole()
    return samples[start:stop], rate


# ---------------------------------------------------------------------------------------------------------------------
# Speech Commands


def read_speech_commands(data: Path | None, words: str) -> tuple[list[Clip], str, list[str]]:
    """A folder for each word, validation_list.txt and testing_list.txt."""
    source = "download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
    if data is None or not (data / "testing_list.txt").is_file() or not (data / "validation_list.txt").is_file():
        raise _missing("speech-commands", data, "the unpacked speech_commands_v0.02 with its two lists", source)
    wanted = {"commands": COMMANDS, "digits": WORDS}.get(words)
    names = [n for n in class_folders(data) if not n.startswith("_")] if wanted is None else list(wanted)
    if lacking := [name for name in names if not (data / name).is_dir()]:
        raise DataError(f"speech-commands: no folder {', '.join(lacking)} in {data}: choose other words")
    held = dict.fromkeys((data / "validation_list.txt").read_text().split(), "val")
    held |= dict.fromkeys((data / "testing_list.txt").read_text().split(), "test")
    files: list[Path] = []
    clips: list[Clip] = []
    for label, name in enumerate(names):
        for file in audio_files(data / name):
            files.append(file)
            clips.append(clip(held.get(f"{name}/{file.name}", "train"), f"{name}/{file.name}", label, file))
    return clips, listing_key(files, data), names


# ---------------------------------------------------------------------------------------------------------------------
# sets with official folds


def _split_of(fold: int, test: int, folds: int, of: str) -> str:
    if not 1 <= test <= folds:
        raise OptionError(f"{of} has the folds 1 to {folds}: fold = {test} is none of them")
    return {test: "test", (test - 2) % folds + 1: "val"}.get(fold, "train")


def read_esc(data: Path | None, fold: int, *, ten: bool) -> tuple[list[Clip], str, list[str]]:
    """audio/*.wav and meta/esc50.csv."""
    of = "esc10" if ten else "esc50"
    if data is None or not (data / "meta" / "esc50.csv").is_file():
        raise _missing(
            of, data, "the unpacked ESC-50-master with audio and meta/esc50.csv", "github.com/karolpiczak/ESC-50"
        )
    rows = _table(data / "meta" / "esc50.csv", ["filename", "category", "esc10"], ["fold", "target"])
    rows = [r for r in rows if r["esc10"] == "True"] if ten else rows
    classes = sorted({(int(r["target"]), r["category"]) for r in rows})
    label = {target: i for i, (target, _) in enumerate(classes)}
    files = [data / "audio" / r["filename"] for r in rows]
    _present(of, files)
    clips = [
        clip(_split_of(int(r["fold"]), fold, 5, of), r["filename"], label[int(r["target"])], file)
        for r, file in zip(rows, files, strict=True)
    ]
    return clips, listing_key(files, data), [name for _, name in classes]


def read_urbansound(data: Path | None, fold: int) -> tuple[list[Clip], str, list[str]]:
    """audio/fold1/*.wav ... and metadata/UrbanSound8K.csv."""
    of = "urbansound8k"
    if data is None or not (data / "metadata" / "UrbanSound8K.csv").is_file():
        raise _missing(
            of,
            data,
            "the unpacked UrbanSound8K with audio and metadata",
            "urbansounddataset.weebly.com/urbansound8k.html",
        )
    rows = _table(data / "metadata" / "UrbanSound8K.csv", ["slice_file_name", "class"], ["fold", "classID"])
    classes = sorted({(int(r["classID"]), r["class"]) for r in rows})
    label = {number: i for i, (number, _) in enumerate(classes)}
    files = [data / "audio" / f"fold{r['fold']}" / r["slice_file_name"] for r in rows]
    _present(of, files)
    clips = [
        clip(_split_of(int(r["fold"]), fold, 10, of), f"fold{r['fold']}/{file.name}", label[int(r["classID"])], file)
        for r, file in zip(rows, files, strict=True)
    ]
    return clips, listing_key(files, data), [name for _, name in classes]


def _present(of: str, files: Sequence[Path]) -> None:
    if lacking := [file for file in files if not file.is_file()]:
        raise DataError(f"{of}: {len(lacking)} of {len(files)} files of its table are missing, such as {lacking[0]}")
