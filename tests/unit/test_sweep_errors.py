"""Sweeps that are refused before any work, and refusals and failures that are rows."""

import sys

import pytest
from sweeps import SWEEP, only

from ddcore import comparison
from ddcore.comparison import compare
from ddcore.errors import NotSupported, OptionError, UnknownName

pytestmark = pytest.mark.usefixtures("loaded")


def test_a_comparison_is_not_written_into_a_set(tmp_path):
    compare(SWEEP, tmp_path)
    cell = next((tmp_path / "cells" / "image-toy" / "dm").glob("2-1-*"))
    before = sorted(cell.iterdir())
    with pytest.raises(OptionError, match="is a distilled set: choose another folder"):
        compare(SWEEP, cell)
    assert sorted(cell.iterdir()) == before


@pytest.mark.parametrize(("budget", "said"), [({"ipc": []}, "an empty list"), ({"ipc": 1, "ratio": 0.1}, "both")])
def test_a_sweep_has_one_kind_of_budget(tmp_path, budget, said):
    with pytest.raises(OptionError, match=f"either `ipc` or `ratio`.* it has {said}"):
        compare({**SWEEP, **budget}, tmp_path)


def test_ray_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    with pytest.raises(NotSupported, match="pip install"):
        compare(SWEEP, tmp_path, jobs=2, backend="ray")


def test_what_a_method_refuses_is_a_row_with_the_reason(tmp_path, monkeypatch):
    real = comparison.plan

    def plan(problem, method, *arguments):
        if method == "dc":
            raise NotSupported("dc has no meaning here: no gradients")
        return real(problem, method, *arguments)

    monkeypatch.setattr(comparison, "plan", plan)
    rows = compare({**SWEEP, "methods": ["dc", "dm"], "ipc": [1, 10_000]}, tmp_path)
    assert [r["error"] for r in only(rows, method="dc")] == ["dc has no meaning here: no gradients"] * 2
    assert "largest ipc" in only(rows, method="dm", ipc=10_000)[0]["error"]
    assert only(rows, method="dm", ipc=1)[0]["mean"] > 0
    assert "no gradients" in (tmp_path / "results.md").read_text()


def test_a_cell_that_diverges_is_a_row_and_the_others_go_on(tmp_path):
    sweep = {
        **SWEEP,
        "methods": ["dm", "wild"],
        "ipc": 1,
        "options": {"wild": {"method": "dm", "lr": 1e30, "steps": 9}},
    }
    rows = compare(sweep, tmp_path)
    assert "diverged" in only(rows, method="wild")[0]["error"]
    assert "mean" in only(rows, method="dm")[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methds": ["dm"]}, "methods"),
        ({"ipc": None}, "either `ipc` or `ratio`"),
        ({"ratio": 0.1}, "either `ipc` or `ratio`"),
        ({"seeds": 0}, "seeds"),
        ({"options": {"dsa": {"lr": 1}}}, "dsa"),
        ({"options": {"dm": {"lrr": 1}}}, "lrr"),
        ({"problems": []}, "problems"),
        ({"models": ["convnat"]}, "no model 'convnat' in image/toy. Did you mean convnet"),
        ({"options": {"image/toy": {"models": "mlpp"}}}, "no model 'mlpp'"),
        ({"protocol": "matchin"}, "no protocol 'matchin'"),
    ],
)
def test_bad_sweeps_are_refused_before_any_work(tmp_path, change, said, distilled):
    sweep = {k: v for k, v in {**SWEEP, **change}.items() if v is not None}
    with pytest.raises((OptionError, UnknownName), match=said):
        compare(sweep, tmp_path)
    assert not distilled


def test_a_protocol_that_does_not_fit_a_problem_is_a_reason_before_any_work(tmp_path, distilled):
    rows = compare({**SWEEP, "protocol": "decoupled"}, tmp_path)
    assert len(rows) == 4
    assert all("image/toy has no augmentation 'mixed'" in row["error"] for row in rows)
    assert not distilled


def test_an_unknown_method_and_problem(tmp_path):
    with pytest.raises(UnknownName, match="dmm"):
        compare({**SWEEP, "methods": ["dmm"]}, tmp_path)
    with pytest.raises(UnknownName, match="image/toi"):
        compare({**SWEEP, "problems": ["image/toi"]}, tmp_path)
