"""Devices: by name, and the memory that was taken of them."""

from __future__ import annotations

import sys

import torch

from .errors import OptionError, expect

__all__ = ["peak_memory", "resolve_device"]


def resolve_device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:i`."""
    expect("device", name, str, "auto, cpu, cuda or cuda:i")
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


def peak_memory(device: torch.device) -> int | None:
    """Bytes at their highest so far: of torch's tensors on a GPU, of the whole process on the CPU; None where the system does not
    say."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
