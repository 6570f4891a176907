"""Problems of the user's own: a folder of clips, or a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ddcore.errors import DataError
from ddcore.packing import Packed, class_files, filled_splits, listing_key
from ddcore.problem import Problem
from ddcore.rows import Rows

from .clips import audio_files, clip, pack_clips
from .frontend import Frontend
from .problems import (
    Bands,
    Depth,
    Domain,
    Floor,
    Hop,
    Rate,
    Seconds,
    What,
    Width,
    Window,
    audio_problem,
    frontend_of,
)

__all__ = ["folder", "hf"]


def folder(
    data: Path | None = None,
    *,
    sample_rate: Rate = 16_000,
    seconds: Seconds = 1.0,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    bands: Bands = 40,
    window: Window = 480,
    hop: Hop = 160,
    depth: Depth = 3,
    width: Width = 128,
) -> Problem[Rows]:
    """Your own clips: FOLDER/CLASS/*.wav, or FOLDER/train/CLASS/*.wav with val and test folders where you have them.

    Channels are averaged, any sample rate is resampled, and of clips longer or shorter than `seconds` the middle is taken or
    zeros are put on both sides. Without a test (or val) folder a seeded stratified tenth of the training clips takes its place,
    and the split is stored with every artifact. Clips that cannot be read are named and left out.
    """
    if data is None or not data.is_dir():
        raise DataError(f"audio/folder needs --data FOLDER with a folder per class; got {data or 'nothing'}")
    files, names = class_files(data, audio_files)
    clips = [clip(split, str(file.relative_to(data)), label, file) for split, label, file in files]
    heard = frontend_of(frontend, domain, sample_rate, seconds, window, hop, bands, floor)
    packed = pack_clips(clips, listing_key((file for _, _, file in files), data), heard.sample_rate, heard.samples)
    return _own(packed, names, heard, domain=domain, depth=depth, width=width)


def _own(packed: Packed, names: Sequence[str], frontend: Frontend, **options: Any) -> Problem[Rows]:
    """Splits that the data brought; what it did not bring is drawn."""
    splits, drawn = filled_splits(packed, names, "clip")
    return audio_problem(packed.x, packed.y, splits, names, frontend, drawn=drawn, digest=packed.digest, **options)


def hf(
    data: Path | None = None,
    *,
    name: Annotated[
        str | None, Field(description="a data set of the hub, such as PolyAI/minds14; or give a local --data")
    ] = None,
    subset: Annotated[str | None, Field(description="its configuration, where it has several")] = None,
    audio: Annotated[str | None, Field(description="the audio column; the first one by default")] = None,
    label: Annotated[str | None, Field(description="the class column; the first class label by default")] = None,
    sample_rate: Rate = 16_000,
    seconds: Seconds = 1.0,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    bands: Bands = 40,
    window: Window = 480,
    hop: Hop = 160,
    depth: Depth = 3,
    width: Width = 128,
) -> Problem[Rows]:
    """Any Hugging Face audio data set: by name, or a local folder (of save_to_disk, Parquet files or clips)."""
    from .hub import read_clips

    clips, key, names = read_clips(data, name, subset, audio, label)
    heard = frontend_of(frontend, domain, sample_rate, seconds, window, hop, bands, floor)
    packed = pack_clips(clips, key, heard.sample_rate, heard.samples)
    return _own(packed, names, heard, domain=domain, depth=depth, width=width)
