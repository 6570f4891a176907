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


METHODS = {
    "distrack": ("distrack:DISTRACK", "Class means of short clips in random networks, told apart from other classes'."),
    "kws-idc": ("kws_idc:KWS_IDC", "Gradient matching of packed maps: each holds several small ones of its class."),
    "ddfad": ("ddfad:DDFAD", "Trajectory matching of cepstra with their differences (FD-MFCC)."),
    "ser-bptt": ("ser_bptt:SER_BPTT", "Back-propagation through training from one known start."),
}

PARAMETRIZATIONS = {
    "formations": ("packed:Formations", "Maps that each hold several small ones (IDC)."),
    "short-clips": ("packed:ShortClips", "Clips that each hold several short ones (DisTrack)."),
    "cepstra": ("cepstra:Cepstra", "Cepstra, whose differences follow (FD-MFCC)."),
    "fixed-start": ("fixed_start:FixedStart", "Rows, and the weights that training begins with."),
}


@hookimpl
def ddcore_entries() -> Iterator[Entry]:
    """The problems, the methods, and what they are made of."""
    for name, summary in PROBLEMS.items():
        module = "own" if name in ("folder", "hf") else "problems"
        target = f"ddcore_audio.{module}:{name.replace('-', '_')}"
        here = name == "digits"
        yield Entry("problem", f"audio/{name}", target, summary, offline=here, default=here)
    for name, (target, summary) in METHODS.items():
        yield Entry("method", f"audio/{name}", f"ddcore_audio.methods.{target}", summary)
    yield Entry(
        "objective",
        "audio/contrastive-means",
        "ddcore_audio.objectives:ContrastiveMeans",
        "Match class means, and tell classes apart.",
    )
    for name, (target, summary) in PARAMETRIZATIONS.items():
        yield Entry("parametrization", f"audio/{name}", f"ddcore_audio.{target}", summary)
    yield Entry("exporter", "audio/wav", "ddcore_audio.export:to_wav", "A folder of FLOAT WAV files per class.")
    hf = "A Hugging Face audio data set on disk (needs ddcore-audio[hf])."
    yield Entry("exporter", "audio/hf", "ddcore_audio.export:to_hf", hf)
