"""The audio problems: data from its public format, a frontend, networks, siamese augmentation, sets that can be heard."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ddcore.errors import DataError
from ddcore.packing import check_filled
from ddcore.problem import Problem
from ddcore.recipes import MATCHING, Recipe
from ddcore.rows import Classification, Rows
from ddcore.splits import carve

from .augment import Mixed, Siamese
from .clips import Clip, pack_clips
from .data import audio_data, check, evenly, fitted
from .frontend import Frontend, Kind
from .kernels import kernels
from .models import zoo
from .readers import read_esc, read_fsdd, read_speech_commands, read_urbansound
from .show import page
from .sound import Sound
from .voices import WORDS, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "audio_problem",
    "digits",
    "esc10",
    "esc50",
    "frontend_of",
    "fsdd",
    "speech_commands",
    "urbansound8k",
]

What = Annotated[
    Kind,
    Field(
        description="what networks hear: log mel power, mel power, or cepstra with their first and second differences"
    ),
]
Domain = Annotated[
    Literal["maps", "waveforms"],
    Field(description="what a row is, real or synthetic: the frontend's maps, or the samples before it"),
]
Floor = Annotated[
    float | None,
    Field(
        gt=0,
        description="added to mel power before its logarithm; more of it makes soft sounds count less. "
        "Unless given 1e-6, and 0.1 where rows are waveforms, which cannot be learned from silence with less",
    ),
]
Bands = Annotated[int, Field(ge=8, description="mel bands")]
Hop = Annotated[int, Field(ge=1, description="samples between two frames")]
Window = Annotated[int, Field(ge=2, description="samples of a frame; the FFT has the next power of two")]
Depth = Annotated[int, Field(ge=1, description="blocks of the default ConvNet")]
Width = Annotated[int, Field(ge=1, description="channels of the default ConvNet")]
Val = Annotated[float, Field(ge=0, lt=1, description="part of the training clips that is held out for model selection")]
Seconds = Annotated[
    float, Field(gt=0, description="length of a clip: the middle of longer ones, zeros around shorter ones")
]
Rate = Annotated[int, Field(ge=1000, description="sample rate in Hz; clips are resampled to it")]

FLOORS = {"maps": 1e-6, "waveforms": 0.1}

QUICK: Mapping[str, Mapping[str, Any]] = {"dc": {"inner": 10}, "dsa": {"inner": 10}, "frepo": {"steps": 400}}
"""A minute, where the core's take more."""

QUICK_WAVEFORMS: Mapping[str, Mapping[str, Any]] = {**QUICK, "audio/distrack": {"lr": 0.2}}


def frontend_of(
    kind: Kind,
    domain: Literal["maps", "waveforms"],
    sample_rate: int,
    seconds: float,
    window: int,
    hop: int,
    bands: int,
    floor: float | None,
) -> Frontend:
    """The frontend from 20 Hz to half the sample rate, with the next power of two as FFT, and the domain's floor unless one is
    given. Raises OptionError."""
    return Frontend(
        kind=kind,
        sample_rate=sample_rate,
        samples=round(seconds * sample_rate),
        n_fft=1 << (window - 1).bit_length(),
        window=window,
        hop=hop,
        bands=bands,
        high=sample_rate / 2,
        floor=FLOORS[domain] if floor is None else floor,
    )


def audio_problem(
    wave: NDArray[np.float32],  # (n, samples)
    y: NDArray[np.int64],  # (n,)
    splits: dict[str, list[int]],
    class_names: Sequence[str],
    frontend: Frontend,
    *,
    domain: Literal["maps", "waveforms"] = "maps",
    depth: int = 3,
    width: int = 128,
    drawn: bool = False,
    recipe: Recipe = MATCHING,
    digest: str = "",
    quick: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Problem[Rows]:
    """An audio problem from clips of one rate and length: the way for data that no reader here knows.

    `splits` holds row ids of train, val and test; `drawn` says that they were drawn here and should be stored with every
    artifact. With `domain="maps"` the frontend is applied once, and a set is made of its maps; with "waveforms" it stands in
    front of every network, and gradients go through it into the samples, which are in units of a power of two; give it a
    frontend with a floor of 0.1 then. A `digest` says that the samples are known, and finite. `quick` changes quick
    presets.

    Raises DataError, and OptionError for sizes that do not fit each other.
    """
    check(wave, y, splits, len(class_names), frontend, finite=bool(digest))
    y = y.astype(np.int64)
    features = fitted(wave, splits["train"], frontend)
    scale = _unit(wave, splits["train"]) if domain == "waveforms" else None
    data = audio_data(wave, y, splits, features, scale=scale, drawn=drawn, digest=digest)
    sound = Sound(features, scale)
    classes, per_row = len(class_names), Siamese(features, per_row=True)
    usual = QUICK_WAVEFORMS if domain == "waveforms" else QUICK
    return Problem(
        name="audio",
        data=data,
        task=Classification(classes),
        models=zoo(features, classes, scale=scale, depth=depth, width=width),
        synthetic=sound,
        recipe=recipe,
        augmentations={"match": Siamese(features), "train": per_row, "mixed": Mixed(per_row, classes)},
        corruptions={"noise": Siamese(features, "noise", per_row=True)},
        input_space=sound.space,
        kernels=kernels(features, scale=scale, depth=depth),
        preprocessing=sound.preprocessing,
        class_names=tuple(class_names),
        render=partial(page, tuple(class_names), sound),
        quick={method: {**usual.get(method, {}), **quick.get(method, {})} for method in {**usual, **quick}},
    )


def _unit(wave: NDArray[np.float32], train: Sequence[int]) -> float:
    """The power of two nearest to the deviation of some 2,048 of the training clips: multiplying by it loses no bit."""
    deviation = float(np.std(wave[evenly(train, 2048)]))
    return 2.0 ** round(np.log2(deviation)) if deviation > 0 else 1.0


def _packed(
    of: str,
    clips: Sequence[Clip],
    key: str,
    names: Sequence[str],
    frontend: Frontend,
    *,
    val: float = 0.0,
    **options: Any,
) -> Problem[Rows]:
    """A problem of the clips; what the data has no validation clips of is carved from its training clips."""
    packed = pack_clips(clips, key, frontend.sample_rate, frontend.samples)
    check_filled(packed, names, "clip")
    splits = packed.splits
    if not splits["test"]:
        raise DataError(
            f"{of}: none of its {len(clips)} clips is a readable test clip: unpack it again, whole, or choose another split"
        )
    if not splits["val"]:
        splits["train"], splits["val"] = carve(packed.y, splits["train"], val)
    return audio_problem(packed.x, packed.y, splits, names, frontend, digest=packed.digest, **options)


# ---------------------------------------------------------------------------------------------------------------------
# part of the install


def digits(
    *,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    bands: Bands = 32,
    window: Window = 512,
    hop: Hop = 256,
    depth: Depth = 3,
    width: Width = 32,
) -> Problem[Rows]:
    """Digits spoken by espeak-ng at 8 kHz: 720 clips of 36 voices to train on, 240 of 6 and 300 of 10 other voices to
    validate and test."""
    clips, key = spoken()
    heard = frontend_of(frontend, domain, 8000, 1.0, window, hop, bands, floor)
    return _packed("digits", clips, key, WORDS, heard, domain=domain, depth=depth, width=width)


# ---------------------------------------------------------------------------------------------------------------------
# by --data


def fsdd(
    data: Path | None = None,
    *,
    split: Annotated[
        Literal["takes", "speakers"],
        Field(description="takes 0 to 4 of each digit and speaker test (the authors'), or two of the six speakers"),
    ] = "takes",
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    bands: Bands = 40,
    window: Window = 320,
    hop: Hop = 160,
    depth: Depth = 3,
    width: Width = 32,
    val: Val = 0.1,
) -> Problem[Rows]:
    """Free Spoken Digit Dataset (Jackson et al. 2018), 8 kHz: the folder recordings of its repository, or one file with
    index.csv. With `split = "speakers"` theo and yweweler test, nicolas validates."""
    clips, key = read_fsdd(data, split)
    heard = frontend_of(frontend, domain, 8000, 1.0, window, hop, bands, floor)
    quick = {"dsa": {"lr": 1.0}} if domain == "maps" else {}  # on val, one clip a class: 53.9; 47.6 at 0.1
    return _packed("fsdd", clips, key, WORDS, heard, val=val, domain=domain, depth=depth, width=width, quick=quick)


def speech_commands(
    data: Path | None = None,
    *,
    words: Annotated[
        Literal["all", "commands", "digits"],
        Field(description="all words, the ten commands (yes, no, up ...), or the ten digits"),
    ] = "all",
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    bands: Bands = 40,
    window: Window = 480,
    hop: Hop = 160,
    depth: Depth = 3,
    width: Width = 128,
) -> Problem[Rows]:
    """Speech Commands (Warden 2018), 16 kHz, with its validation and testing lists; background noise is left out."""
    clips, key, names = read_speech_commands(data, words)
    heard = frontend_of(frontend, domain, 16_000, 1.0, window, hop, bands, floor)
    return _packed("speech-commands", clips, key, names, heard, domain=domain, depth=depth, width=width)


Fold = Annotated[int, Field(ge=1, description="the official fold that tests; the one before it validates")]


def esc50(
    data: Path | None = None,
    *,
    fold: Fold = 5,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    sample_rate: Rate = 22_050,
    bands: Bands = 64,
    window: Window = 1024,
    hop: Hop = 512,
    depth: Depth = 4,
    width: Width = 128,
) -> Problem[Rows]:
    """ESC-50 (Piczak 2015): 2,000 environmental sounds of 5 s, 50 classes, five official folds."""
    clips, key, names = read_esc(data, fold, ten=False)
    heard = frontend_of(frontend, domain, sample_rate, 5.0, window, hop, bands, floor)
    return _packed("esc50", clips, key, names, heard, domain=domain, depth=depth, width=width)


def esc10(
    data: Path | None = None,
    *,
    fold: Fold = 5,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    sample_rate: Rate = 22_050,
    bands: Bands = 64,
    window: Window = 1024,
    hop: Hop = 512,
    depth: Depth = 4,
    width: Width = 128,
) -> Problem[Rows]:
    """ESC-10 (Piczak 2015): the ten classes of ESC-50 that are easily told apart, 400 sounds, five official folds."""
    clips, key, names = read_esc(data, fold, ten=True)
    heard = frontend_of(frontend, domain, sample_rate, 5.0, window, hop, bands, floor)
    return _packed("esc10", clips, key, names, heard, domain=domain, depth=depth, width=width)


def urbansound8k(
    data: Path | None = None,
    *,
    fold: Fold = 10,
    frontend: What = "log-mel",
    domain: Domain = "maps",
    floor: Floor = None,
    sample_rate: Rate = 22_050,
    bands: Bands = 64,
    window: Window = 1024,
    hop: Hop = 512,
    depth: Depth = 4,
    width: Width = 128,
) -> Problem[Rows]:
    """UrbanSound8K (Salamon et al. 2014): 8,732 city sounds of up to 4 s, 10 classes, ten official folds."""
    clips, key, names = read_urbansound(data, fold)
    heard = frontend_of(frontend, domain, sample_rate, 4.0, window, hop, bands, floor)
    return _packed("urbansound8k", clips, key, names, heard, domain=domain, depth=depth, width=width)
