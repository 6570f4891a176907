"""What the audio plugin provides. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.plugins import Entry, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

ddcore_api = 1

PROBLEMS = {
    "digits": "Spoken digits in 52 voices of espeak-ng, 8 kHz, 10 classes; part of the install.",
    "fsdd": "Free Spoken Digit Dataset: six speakers, 8 kHz, 10 classes.",
    "speech-commands": "Speech Commands: spoken words, 16 kHz, 35 classes, or ten of them.",
    "esc10": "ESC-10: environmental sounds of 5 s, 10 classes.",
    "esc50": "ESC-50: environmental sounds of 5 s, 50 classes.",
    "urbansound8k": "UrbanSound8K: city sounds of up to 4 s, 10 classes.",
    "folder": "Your own clips: a folder per class, with train, val and test folders where you have them.",
    "hf": "Any Hugging Face audio data set, from the hub or a local path.",
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems."""
    for name, summary in PROBLEMS.items():
        module = "own" if name in ("folder", "hf") else "problems"
        target = f"ddcore_audio.{module}:{name.replace('-', '_')}"
        here = name == "digits"
        yield Entry("problem", f"audio/{name}", target, summary, offline=here, default=here)
