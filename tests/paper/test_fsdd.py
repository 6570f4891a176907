"""The claim on the Free Spoken Digit Dataset: dm and dsa beat random clips at both budgets, by the sweep file of docs/results."""

import os
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("ddcore_audio", reason="needs the plugin ddcore-audio")

from ddcore.comparison import compare

SWEEP = Path(__file__).parents[2] / "docs" / "results" / "sweeps" / "audio-fsdd.toml"

pytestmark = [pytest.mark.paper, pytest.mark.timeout(14_400)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    data = Path(os.environ.get("DDCORE_TEST_DATA", "")) / "audio" / "fsdd"
    if "DDCORE_TEST_DATA" not in os.environ or not data.is_dir():
        pytest.skip("DDCORE_TEST_DATA has no audio/fsdd")
    sweep = {**tomllib.loads(SWEEP.read_text()), "methods": ["dm", "dsa", "random"]}
    sweep["options"] = {"audio/fsdd": {"data": str(data)}}
    found = compare(sweep, tmp_path_factory.mktemp("fsdd"))
    return {(row["method"], row["ipc"]): row for row in found}


@pytest.mark.parametrize("ipc", [1, 10])
@pytest.mark.parametrize("method", ["dm", "dsa"])
def test_beats_random_clips_by_two_standard_errors(rows, method, ipc):
    ours, random = rows[method, ipc], rows["random", ipc]
    assert (ours["seeds"], random["distillations"]) == (5, 5)
    error = (ours["stderr"] ** 2 + random["stderr"] ** 2) ** 0.5
    assert ours["mean"] - random["mean"] > 2 * error
