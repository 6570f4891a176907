"""A benchmark whose peer or data are not here says so and ends well, so that the others run; one that needs neither runs."""

import importlib
import runpy
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.parametrize(
    "words",
    [["amortised_dm"], ["steps"], ["mtt_peer"], ["graph_peer"], ["graph_accuracy"], ["steps", "--peer", "."]],
    ids=" ".join,
)
def test_it_is_skipped(words, monkeypatch, capsys):
    pytest.importorskip(
        "ddcore_graph" if words[0].startswith("graph") else "ddcore_image", reason="the plugin is not installed"
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


@pytest.mark.skipif(sys.platform != "linux", reason="its peak is read from Linux's /proc")
def test_recommenders_on_few_users(monkeypatch, capsys):
    pytest.importorskip("ddcore_recommender", reason="the plugin is not installed")
    monkeypatch.syspath_prepend(BENCH)
    few = {"users": 1200, "items": 50, "each": 5, "fake": 4, "read": 64}
    monkeypatch.setattr(sys, "argv", ["recommender", *(f"--{name}={n}" for name, n in few.items())])
    bench = importlib.import_module("recommender")
    monkeypatch.setattr(bench, "apart", lambda work: (work(), (0.0, 0.0))[1])  # here, and not in a process of its own
    bench.main()
    table = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert {"pagerank", "svp-cf, one epoch", "svp-cf-prop, one epoch", "distill-cf, one update"} <= set(table)
