"""A benchmark whose peer or data are not here says so and ends well, so that the others run."""

import runpy
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.parametrize(
    "words", [["amortised_dm"], ["steps"], ["mtt_peer"], ["graph_peer"], ["steps", "--peer", "."]], ids=" ".join
)
def test_it_is_skipped(words, monkeypatch, capsys):
    pytest.importorskip(
        "ddcore_graph" if words[0] == "graph_peer" else "ddcore_image", reason="the plugin is not installed"
    )
    monkeypatch.delenv("DDCORE_TEST_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.syspath_prepend(BENCH)
    code: object = 0
    try:
        runpy.run_path(str(BENCH / f"{words[0]}.py"), run_name="__main__")
    except SystemExit as end:
        code = end.code
    assert not code
    assert capsys.readouterr().out.startswith("skipped: ")
