"""Whether the memory is there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ddcore.errors import NotSupported

__all__ = ["available", "need_memory"]

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MEMINFO = Path("/proc/meminfo")


def available() -> int | None:
    """Bytes that a process may still take, within its control group's limit; None where the system does not say (Linux does)."""
    said = []
    with suppress(OSError, StopIteration):
        lines = MEMINFO.read_text().splitlines()
        said.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    for limit in LIMITS:
        with suppress(OSError, ValueError):  # "max" is none
            said.append(int(limit.read_text()))
    return min(said, default=None)


def need_memory(numbers: int, what: str, instead: str, size: int = 4) -> None:
    """Raises NotSupported where `numbers` of `size` bytes are more than is available."""
    there = available()
    if there is not None and numbers * size > there:
        raise NotSupported(
            f"{what} needs {numbers * size / 2**30:,.1f} GiB and {there / 2**30:,.1f} GiB are available: {instead}"
        )
