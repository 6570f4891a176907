"""Freed memory stays with the process."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, torch
from ddcore.allocator import keep_freed_memory
def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
{call}
before = held()
torch.ones(2**26)  # 256 MiB, freed at once
print((held() - before) // 2**20)
"""


def kept(call, **env):
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return int(found.stdout)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much a process holds in /proc")
def test_what_was_freed_is_kept_after_the_call_alone():
    assert kept("") < 64
    assert kept("keep_freed_memory()") >= 256


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much a process holds in /proc")
def test_what_the_user_has_set_is_left():
    assert kept("keep_freed_memory()", MALLOC_MMAP_MAX_="65536", MALLOC_TRIM_THRESHOLD_="131072") < 64


def test_processes_started_later_have_it_too(monkeypatch):
    program = "import ddcore.allocator as a, os; a.keep_freed_memory(); print(os.environ['MALLOC_MMAP_MAX_'])"
    for name in ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "0\n"
