"""What the tests share: caches of their own, one thread (tensors are small), a problem with a set, and what sweeps do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toys

from ddcore import comparison
from ddcore.errors import UnknownName


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


@pytest.fixture
def loaded(monkeypatch):
    """The toy pictures under their name, with a protocol of six epochs; the options they were asked for."""
    asked = []

    def load(name, data=None, **options):
        if name != "image/toy":
            raise UnknownName(f"no problem {name!r}")
        asked.append((data, options))
        problem = toys.image()
        return replace(problem, name=name, recipe=replace(problem.recipe, epochs=6), options=options)

    monkeypatch.setattr(comparison, "load", load)
    comparison._problem.cache_clear()
    yield asked
    comparison._problem.cache_clear()


@pytest.fixture
def distilled(monkeypatch):
    """How often each method was run."""
    runs, real = [], comparison.distill

    def distill(problem, method, **arguments):
        runs.append(method)
        return real(problem, method, **arguments)

    monkeypatch.setattr(comparison, "distill", distill)
    return runs
