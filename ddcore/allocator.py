"""Freed memory stays with the process: tensors of an update are freed and asked for again thousands of times a minute."""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """glibc returns blocks of megabytes to the system when they are freed, and the system clears every page of the next such
    block: up to a third of an update's time on a CPU. After this call, here and in processes started later, they are kept, so
    that a process holds the most it ever used until it ends. The command `ddcore` calls it; a program of your own may. It does
    nothing where the C library has no `mallopt`; variables MALLOC_MMAP_MAX_ and MALLOC_TRIM_THRESHOLD_ that are set already
    are left as they are."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return
    for name, parameter, value in (
        ("MALLOC_MMAP_MAX_", M_MMAP_MAX, 0),
        ("MALLOC_TRIM_THRESHOLD_", M_TRIM_THRESHOLD, LARGEST),
    ):
        if name not in os.environ:
            os.environ[name] = str(value)
            mallopt(parameter, value)
