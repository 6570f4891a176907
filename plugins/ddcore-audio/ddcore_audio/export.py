"""Exports: WAV files, a folder for each class, and a Hugging Face audio data set."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import torch
from scipy.io import wavfile

from ddcore.errors import ArtifactError, NotSupported
from ddcore.storage import replacing

from .show import safe
from .sound import Sound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from ddcore.artifact import Artifact
    from ddcore.problem import Problem

__all__ = ["to_hf", "to_wav", "wav_bytes"]


def wav_bytes(wave: Tensor, rate: int) -> bytes:  # (samples,)
    """A mono FLOAT WAV file: the samples bit by bit, and nothing that tells the time it was written."""
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, wave.numpy())
    return buffer.getvalue()


def to_wav(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """Writes `out/CLASS/0001.wav` ..., mono FLOAT files in the order of the set; the folder is written whole or not at all.

    Waveforms are written as they are, maps as they are recovered. `audio/folder` reads the folder; its classes are numbered
    like the problem's. A set with probabilities also gets `labels.csv`: a line for each file, a column for each class.

    `problem` is needed where a set is stored packed. Raises ArtifactError without it and for a set that is not of audio, and
    NotSupported for labels that are neither class numbers nor probabilities.
    """
    sound, counts, x, y = _decoded(artifact, problem)
    soft = y.tolist() if y is not None and y.ndim == 2 else None
    names = _folders(artifact.manifest["class_names"], max(counts) + 1)
    files = [f"{names[g]}/{i + 1:04}.wav" for g, n in counts.items() for i in range(n)]
    with replacing(out) as folder:
        for file, wave in zip(files, sound.waveform(x), strict=True):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(wav_bytes(wave, sound.frontend.sample_rate))
        if soft is not None:
            with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
                write = csv.writer(table, lineterminator="\n").writerow
                write(["file", *names[: len(soft[0])]])
                for file, probabilities in zip(files, soft, strict=True):
                    write([file, *(f"{p:.9g}" for p in probabilities)])
    return out


def to_hf(artifact: Artifact, problem: Problem[Any] | None, out: Path) -> Path:
    """A folder for `datasets.load_from_disk`: FLOAT WAV bytes in an `audio` column (cast to `Audio(decode=False)` reads them
    without torchcodec) and a `label` column of class numbers, or of probabilities.

    Raises like `to_wav`, and NotSupported where the library is missing.
    """
    try:
        from datasets import Audio, ClassLabel, Dataset, Features, Sequence, Value
    except ImportError as error:
        raise NotSupported("export to Hugging Face needs its library: pip install 'ddcore-audio[hf]'") from error
    sound, counts, x, y = _decoded(artifact, problem)
    rate, names = sound.frontend.sample_rate, list(artifact.manifest["class_names"])
    soft = y.tolist() if y is not None and y.ndim == 2 else None
    label = ClassLabel(names=names) if soft is None else Sequence(Value("float32"), length=len(soft[0]))
    files = [{"bytes": wav_bytes(w, rate), "path": f"{i:05}.wav"} for i, w in enumerate(sound.waveform(x))]
    numbers = [g for g, n in counts.items() for _ in range(n)]
    stored = Features({"audio": {"bytes": Value("binary"), "path": Value("string")}, "label": label})
    table = Dataset.from_dict({"audio": files, "label": soft or numbers}, features=stored)
    table = table.cast_column(
        "audio", Audio(sampling_rate=rate, decode=False)
    )  # made as Audio, it would need torchcodec
    with replacing(out) as folder:
        table.save_to_disk(folder)
    return out


def _decoded(
    artifact: Artifact, problem: Problem[Any] | None
) -> tuple[Sound, Mapping[int, int], Tensor, Tensor | None]:
    """How the set sounds, rows of each class in its order, the rows (n, ...) and the labels."""
    kind, stored = artifact.manifest["label_kind"], artifact.manifest["parametrization"]
    if kind not in ("ids", "probabilities"):
        raise NotSupported(
            f"audio files have a class, or probabilities of the classes, and the labels here are {kind!r}: export to pt"
        )
    sound = Sound.stored(artifact)
    if stored["name"] in ("rows", "selected", "audio/fixed-start"):
        return sound, dict(stored["config"]["counts"]), artifact.tensors["x"], artifact.tensors.get("y")
    if problem is None:
        raise ArtifactError(
            f"the set is stored as {stored['name']}, not as rows: give the problem too, so that it can be decoded"
        )
    synthetic = artifact.synthetic(problem)
    with torch.no_grad():
        batch = synthetic.batch()
    return sound, synthetic.counts, batch.x, batch.y


def _folders(class_names: Sequence[str], n: int) -> list[str]:
    """A folder name for each class that every file system takes, in the classes' order: with its number where names alone would
    sort otherwise."""
    n = max(n, len(class_names))
    numbers = [f"{g:0{len(str(n - 1))}}" for g in range(n)]
    names = [safe(class_names[g]) if g < len(class_names) else "" for g in range(n)]
    names = [name or number for name, number in zip(names, numbers, strict=True)]
    if names == sorted(names) and len({name.casefold() for name in names}) == n:
        return names
    return [f"{number}-{name}" for number, name in zip(numbers, names, strict=True)]
