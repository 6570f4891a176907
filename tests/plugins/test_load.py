"""`ddcore.load` on installed plugins: names, data paths and options."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import ddcore
from ddcore.errors import DataError, OptionError, PluginLoadError, UnknownName


@pytest.fixture(autouse=True)
def good(install: Callable[..., Path]) -> None:
    install("good")


def test_a_problem_is_loaded_by_name_with_its_options():
    problem = ddcore.load("toy/dots", n=8)
    assert problem.name == "toy/dots"
    assert problem.options == {"n": 8, "spread": 1.0}, "defaults too: those of a later version may differ"
    assert len(problem.data.ids()) == 4
    again = ddcore.load(problem.name, **problem.options)
    assert again.fingerprint() == problem.fingerprint() != ddcore.load("toy/dots").fingerprint()


def test_options_are_checked_before_anything_is_made():
    with pytest.raises(OptionError, match=r"^toy/dots: n = 2: expected integer >= 4 \(default 20\)$"):
        ddcore.load("toy/dots", n=2)
    with pytest.raises(OptionError, match=r"^toy/dots: no option 'm'\..*Valid choices: n, spread\.$"):
        ddcore.load("toy/dots", m=2)


def test_data_is_handed_over_as_a_path(tmp_path: Path):
    file = tmp_path / "dots.txt"
    file.write_text("0 1\n2 3\n4 5\n6 7\n8 9\n")
    problem = ddcore.load("toy/filed", str(file), skip=1)
    assert torch.equal(problem.data.take(problem.data.ids()).x, torch.tensor([[2.0, 3.0], [4.0, 5.0]]))
    assert problem.options == {"skip": 1}, "the path is the user's and no part of what the set is"


def test_data_that_is_missing_or_not_wanted_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="toy/filed: nothing at nowhere"):
        ddcore.load("toy/filed", "nowhere")
    with pytest.raises(DataError, match=r"toy/filed needs its data: .*--data PATH"):
        ddcore.load("toy/filed")
    with pytest.raises(OptionError, match="toy/dots brings its own data: leave --data"):
        ddcore.load("toy/dots", tmp_path)


def test_rows_that_are_not_numbers_are_an_error():
    with pytest.raises(DataError, match=r"1 of 8 rows hold NaN or infinity \(first: row 3\)"):
        ddcore.load("toy/nan")


def test_faults_of_the_plugin_are_called_so():
    with pytest.raises(PluginLoadError, match="good_problems:dictionary returned dict"):
        ddcore.load("toy/dict")
    with pytest.raises(PluginLoadError, match="'toy/missing' could not be loaded"):
        ddcore.load("toy/missing")
    with pytest.raises(PluginLoadError, match=r"'toy/untyped' .* options cannot be read: .*typed parameter"):
        ddcore.load("toy/untyped")
    with pytest.raises(UnknownName, match="Did you mean toy/dots"):
        ddcore.load("toy/dot")
