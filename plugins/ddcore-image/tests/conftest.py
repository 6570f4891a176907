"""The tests' own folder is importable, for `photos`; and a cache of a test's own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
