"""The full claim on scikit-learn's digits: five draws, five networks each, by the sweep file of docs/results."""

import tomllib
from pathlib import Path

import pytest

pytest.importorskip("ddcore_image", reason="needs the plugin ddcore-image")

from ddcore.comparison import compare

SWEEP = Path(__file__).parents[2] / "docs" / "results" / "sweeps" / "digits.toml"

pytestmark = [pytest.mark.paper, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    sweep = {**tomllib.loads(SWEEP.read_text()), "methods": ["dm", "dc", "dsa", "random"]}
    found = compare(sweep, tmp_path_factory.mktemp("digits"))
    return {(row["method"], row["ipc"]): row for row in found}


@pytest.mark.parametrize("ipc", [1, 10])
@pytest.mark.parametrize("method", ["dm", "dc", "dsa"])
def test_beats_random_rows_by_two_standard_errors(rows, method, ipc):
    ours, random = rows[method, ipc], rows["random", ipc]
    assert (ours["distillations"], ours["seeds"]) == (5, 5)
    error = (ours["stderr"] ** 2 + random["stderr"] ** 2) ** 0.5
    assert ours["mean"] - random["mean"] > 2 * error
