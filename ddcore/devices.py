"""Devices by name."""

from __future__ import annotations

import torch

from .errors import OptionError

__all__ = ["resolve_device"]


def resolve_device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:i`."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise OptionError(f"no device {name!r}: expected auto, cpu, cuda or cuda:i")
    if not torch.cuda.is_available() or int(index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"device {name!r} is not here: torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return torch.device(name)
