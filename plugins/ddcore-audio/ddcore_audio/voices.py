"""Spoken digits in many voices, by espeak-ng: the library and its voices are in the package espeakng-loader."""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ddcore.errors import DataError
from ddcore.seeds import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .clips import Clip, Recording

__all__ = ["ACCENTS", "VOICES", "WORDS", "Utterance", "speak", "spoken", "utterances"]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

ACCENTS = ("en", "en-us", "en-029", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")

VOICES = {
    "train": (
        *("Alex", "Alicia", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco"),
        *("Mario", "Michael", "Mike", "Nguyen", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris"),
        *("victor", "david", "f1", "f2", "f3", "m1", "m2", "m3", "m4", "m5", "klatt", "klatt3", "steph"),
    ),
    "val": ("Andrea", "robert", "edward", "f4", "m6", "klatt4"),
    "test": ("croak", "grandma", "grandpa", "f5", "m7", "m8", "klatt2", "linda", "quincy", "zac"),
}
"""Voices by split: no voice is in two. Left out are those that draw on the C library's random numbers, such as caleb and Reed."""

TAKES = {"train": 2, "val": 4, "test": 3}
"""Of each digit by each voice, in different accents, paces and pitches."""

SYNCHRONOUS, RATE, PITCH, CHARACTERS, UTF8 = 2, 1, 3, 1, 1  # of espeak-ng's speak_lib.h


@dataclass(frozen=True)
class Utterance:
    """A word as a voice says it."""

    word: str
    accent: str  # a language of espeak-ng
    voice: str  # a variant of it
    pace: int  # words a minute
    pitch: int  # 0 to 100


def utterances() -> list[tuple[str, int, Utterance]]:
    """(split, digit, utterance): every voice says every digit `TAKES` times, in an order and manner that never change."""
    return [
        (split, digit, Utterance(word, rng.choice(ACCENTS), voice, rng.randint(130, 220), rng.randint(30, 70)))
        for split, voices in VOICES.items()
        for voice in voices
        for digit, word in enumerate(WORDS)
        for take in range(TAKES[split])
        for rng in (stream("spoken digits", voice, word, take),)
    ]


def spoken() -> tuple[list[Clip], str]:
    """All digits, and the key of what they sound like: the utterances and the voices' version. They are
    spoken when the first is read."""
    found = utterances()
    sounds = cache(lambda: speak([utterance for _, _, utterance in found]))
    clips: list[Clip] = [
        (split, f"{u.voice}: {u.word} ({i})", digit, partial(_nth, sounds, i))
        for i, (split, digit, u) in enumerate(found)
    ]
    said = json.dumps([[split, digit, *vars(u).values()] for split, digit, u in found])
    return clips, f"espeakng-loader {version('espeakng-loader')} {hashlib.sha256(said.encode()).hexdigest()}"


def _nth(sounds: Callable[[], Sequence[Recording]], i: int) -> Recording:
    return sounds()[i]


def speak(said: Sequence[Utterance]) -> list[Recording]:
    """The samples (n, 1) in [-1, 1] and the rate of each, in order: the same list gives the same samples.

    An utterance alone is no function of its words, for espeak-ng carries phases on from the one before. So a fresh copy of the
    library speaks the list, whatever was spoken in this process before.

    Raises DataError where espeak-ng cannot be loaded or lacks a voice.
    """
    import espeakng_loader

    library = Path(espeakng_loader.get_library_path())
    with TemporaryDirectory(prefix="ddcore-voices-", ignore_cleanup_errors=True) as folder:
        try:
            espeak: Any = ctypes.CDLL(shutil.copy(library, folder))
        except OSError as error:
            raise DataError(
                f"espeak-ng cannot be loaded ({error}): reinstall espeakng-loader, or use data of your own"
            ) from error
        rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        if rate <= 0:
            raise DataError("espeak-ng does not find its voices: reinstall espeakng-loader, or use data of your own")
        heard: list[NDArray[np.int16]] = []
        hear = _callback(heard)  # a callback that is collected would crash the library
        espeak.espeak_SetSynthCallback(hear)
        espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # of breath and flutter
        sounds = []
        for utterance in said:
            heard.clear()
            _say(espeak, utterance)
            sounds.append((np.concatenate(heard)[:, None].astype(np.float32) / np.float32(32768), rate))
        espeak.espeak_Terminate()
    return sounds


def _say(espeak: Any, utterance: Utterance) -> None:
    name = f"{utterance.accent}+{utterance.voice}"
    if espeak.espeak_SetVoiceByName(name.encode()):
        raise DataError(f"espeak-ng has no voice {name!r}: reinstall espeakng-loader, version 0.2.4 or later")
    espeak.espeak_SetParameter(RATE, utterance.pace, 0)
    espeak.espeak_SetParameter(PITCH, utterance.pitch, 0)
    text = utterance.word.encode()
    espeak.espeak_Synth(text, len(text) + 1, 0, CHARACTERS, 0, UTF8, None, None)
    espeak.espeak_Synchronize()


def _callback(heard: list[NDArray[np.int16]]) -> Any:
    """What espeak-ng hands its samples to."""

    def hear(samples: Any, n: int, events: Any) -> int:
        if samples and n > 0:
            heard.append(np.ctypeslib.as_array(samples, (n,)).copy())
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    return kind(hear)
