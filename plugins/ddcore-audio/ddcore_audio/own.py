"""Problems of the user's own: a folder of clips, or a Hugging Face data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ddcore.errors import DataError
from ddcore.problem import Problem
from ddcore.rows import Rows, stratified_split

from .clips import Item, Packed, audio_files, class_folders, item, listing_key, pack
from .data import carve
from .frontend import Frontend
from .problems import (
    Bands,
    Depth,
    Domain,
    Hop,
    Rate,
    Seconds,
    What,
    Width,
    Window,
    audio_problem,
    by_split,
    check_filled,
    frontend_of,
)

__all__ = ["folder", "hf"]

SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def folder(
    data: Path | None = None,
    *,
    sample_rate: Rate = 16_000,
    seconds: Seconds = 1.0,
    frontend: What = "log-mel",
    domain: Domain = "maps",
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
    found = {
        split: next((data / n for n in names if (data / n).is_dir()), None) for split, names in SPLIT_FOLDERS.items()
    }
    roots = {s: p for s, p in found.items() if p is not None} if found["train"] else {"train": data}
    names = class_folders(roots["train"])
    if len(names) < 2:
        raise DataError(
            f"{roots['train']} has {len(names)} class folders ({', '.join(names)}): expected two or more, one a class"
        )
    files: list[Path] = []
    items: list[Item] = []
    for split, root in roots.items():
        if unknown := set(class_folders(root)) - set(names):
            raise DataError(f"{root} has classes that {roots['train']} has not: {', '.join(sorted(unknown))}")
        for label, name in enumerate(names):
            for file in audio_files(root / name) if (root / name).is_dir() else ():
                files.append(file)
                items.append(item(f"{split}:{file.relative_to(data)}", label, file))
    heard = frontend_of(frontend, sample_rate, seconds, window, hop, bands)
    packed = pack(items, listing_key(files, data), heard.sample_rate, heard.samples)
    return _own(packed, names, heard, domain=domain, depth=depth, width=width)


def _own(packed: Packed, names: Sequence[str], frontend: Frontend, **options: Any) -> Problem[Rows]:
    """Splits that the data brought; what it did not bring is drawn."""
    splits = by_split(packed)
    train = splits["train"]
    check_filled(packed.y[train], names)
    drawn = not (splits["val"] and splits["test"])
    if not splits["val"] and not splits["test"]:
        made = stratified_split(packed.y[train].tolist())
        splits = {s: [train[i] for i in ids] for s, ids in made.items()}
    elif drawn:
        lacking = "test" if splits["val"] else "val"
        splits["train"], splits[lacking] = carve(packed.y, train, 0.1)
    return audio_problem(packed.wave, packed.y, splits, names, frontend, drawn=drawn, digest=packed.digest, **options)


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
    bands: Bands = 40,
    window: Window = 480,
    hop: Hop = 160,
    depth: Depth = 3,
    width: Width = 128,
) -> Problem[Rows]:
    """Any Hugging Face audio data set: by name, or a local folder (of save_to_disk, Parquet files or clips)."""
    from .hub import read_hub

    items, key, names = read_hub(data, name, subset, audio, label)
    heard = frontend_of(frontend, sample_rate, seconds, window, hop, bands)
    packed = pack(items, key, heard.sample_rate, heard.samples)
    return _own(packed, names, heard, domain=domain, depth=depth, width=width)
