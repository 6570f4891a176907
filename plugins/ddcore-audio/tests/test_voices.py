"""Spoken digits: voices of one split alone, that say the same again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from ddcore_audio.problems import digits
from ddcore_audio.voices import VOICES, Utterance, speak

from ddcore.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")


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
