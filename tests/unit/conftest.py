"""What the tests share: caches of their own, one thread, for the tensors are small, and a problem with a set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import toys


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ceilings land here, not in the user's folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DDCORE_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pair():
    return toys.case("image", start=True)
