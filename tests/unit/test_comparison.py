"""Sweeps: their rows, statistics and settings, and what stands beside them."""

import json
import statistics
from unittest.mock import ANY

import pytest
import toys
from sweeps import SWEEP, only

from ddcore import artifact, comparison
from ddcore.comparison import _beside, compare
from ddcore.errors import OptionError

pytestmark = pytest.mark.usefixtures("loaded")


def test_a_row_for_each_method_and_budget_and_random_beside_them(tmp_path):
    rows = compare(SWEEP, tmp_path)
    assert [(r["method"], r["ipc"]) for r in rows] == [("dm", 1), ("dm", 2), ("random", 1), ("random", 2)]
    for row in rows:
        assert {"problem", "metric", "mean", "std", "stderr", "seeds", "protocol", "model", "preset"} <= set(row)
        assert (row["label_kind"], row["epoch_rule"]) == ("ids", "last")
        cell = next(tmp_path.glob(f"cells/*/{row['method']}/{row['ipc']}-*"))
        assert row["bytes"] == artifact.open(cell).bytes
        assert (row["problem"], row["metric"], row["seeds"], row["distillations"]) == ("image/toy", "accuracy", 3, 2)
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    table = (tmp_path / "results.md").read_text()
    assert table.count("| image/toy |") == 4
    assert f"{rows[0]['mean']:.4f}" in table


def test_statistics_over_distillations_and_networks(tmp_path):
    rows = compare(SWEEP, tmp_path)
    cells = sorted((tmp_path / "cells" / "image-toy" / "dm").glob("1-*/cell.json"))
    draws = [[net["accuracy"] for net in json.loads(c.read_text())["scores"]["convnet"]] for c in cells]
    assert [len(d) for d in draws] == [3, 3]
    row, every = only(rows, method="dm", ipc=1)[0], draws[0] + draws[1]
    assert row["mean"] == pytest.approx(sum(every) / 6)
    assert row["std"] == pytest.approx(statistics.stdev(every))
    a, b = sum(draws[0]) / 3, sum(draws[1]) / 3
    assert row["stderr"] == pytest.approx(abs(a - b) / 2)  # the standard error of two numbers' mean


def test_with_one_distillation_the_error_is_over_networks(tmp_path):
    rows = compare({**SWEEP, "ipc": 1, "distillations": 1}, tmp_path)
    assert rows[0]["stderr"] == pytest.approx(rows[0]["std"] / 3**0.5)
    assert compare({**SWEEP, "ipc": 1, "distillations": 1, "seeds": 1}, tmp_path / "one")[0]["stderr"] is None


def test_distillations_of_some_methods_only(tmp_path, distilled):
    rows = compare({**SWEEP, "ipc": 1, "distillations": {"dm": 3}}, tmp_path)
    assert {r["method"]: r["distillations"] for r in rows} == {"dm": 3, "random": 5}
    assert sorted(distilled) == ["dm"] * 3 + ["random"] * 5
    with pytest.raises(OptionError, match="distillations for dn, which are not among the methods"):
        compare({**SWEEP, "distillations": {"dn": 3}}, tmp_path)


def test_random_rows_are_drawn_five_times_unless_a_sweep_says_otherwise(tmp_path):
    wanted = {k: v for k, v in SWEEP.items() if k != "distillations"} | {"ipc": 1, "seeds": 1}
    wanted |= {"methods": ["dm", "again"], "options": {"again": {"method": "random"}}}
    rows = compare(wanted, tmp_path)
    assert {r["method"]: r["distillations"] for r in rows} == {"dm": 1, "again": 5, "random": 5}
    for given in (2, {"random": 2}):
        rows = compare({**wanted, "methods": ["random"], "options": {}, "distillations": given}, tmp_path)
        assert [r["distillations"] for r in rows] == [2]


def test_settings_can_be_compared_on_val(tmp_path):
    once = {**SWEEP, "ipc": 1, "distillations": 1}
    val, test = (compare({**once, "split": split}, tmp_path) for split in ("val", "test"))
    assert {r["split"] for r in val} == {"val"}
    assert {r["split"] for r in test} == {"test"}
    problem, cell = toys.image(), next((tmp_path / "cells" / "image-toy" / "dm").glob("1-0-*"))
    assert len(list(cell.parent.iterdir())) == 2  # one folder for each split
    assert val[0]["mean"] * 3 * len(problem.data.ids(split="val")) == pytest.approx(
        round(val[0]["mean"] * 3 * len(problem.data.ids(split="val")))
    )


def test_progress_names_the_cell_at_work_and_its_loss(tmp_path):
    told = []
    compare({**SWEEP, "ipc": 1}, tmp_path, progress=lambda *said: told.append(said))
    cells = [f"{method} on image/toy, ipc 1, #{i}" for method in ("dm", "random") for i in (1, 2)]
    assert list(dict.fromkeys(cell for cell, *_ in told)) == cells
    done = [done for _, done, *_ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 4)
    assert {total for *_, total, _ in told} == {4}
    notes = [note for cell, _, _, note in told if cell == cells[0]]
    assert sum(note.startswith("loss ") for note in notes) == 2
    assert [note for note in notes if "network" in note] == [f"network {i} of 3" for i in (1, 2, 3)]
    told.clear()
    compare({**SWEEP, "ipc": [1, 2]}, tmp_path, progress=lambda *said: told.append(said))
    assert told[0][:3] == ("dm on image/toy, ipc 2, #1", 4, 8)


def test_progress_of_several_cells_at_a_time_names_those_that_are_done(tmp_path, monkeypatch):
    """The processes do not know the toys: their cells are done here."""
    monkeypatch.setattr(comparison, "in_parallel", lambda tasks, jobs, backend: (f(*a, **k) for f, a, k in tasks))
    told, wanted = [], {**SWEEP, "ipc": 1}
    rows = compare(wanted, tmp_path / "two", jobs=2, progress=lambda *said: told.append(said))
    assert [said[1:] for said in told] == [(i, 4, "") for i in range(1, 5)]
    alone = compare(wanted, tmp_path / "one")
    assert [row["values"] for row in rows] == [row["values"] for row in alone]


def test_what_a_sweep_names_twice_counts_once(tmp_path):
    twice = {
        "problems": 2 * SWEEP["problems"],
        "methods": ["dm", "random", "dm"],
        "ipc": [1, 1, 2],
        "models": 2 * ["mlp"],
    }
    assert compare({**SWEEP, **twice}, tmp_path / "twice") == [
        {**row, "seconds": ANY} for row in compare({**SWEEP, "models": ["mlp"]}, tmp_path / "once")
    ]


def test_options_of_a_problem_reach_its_factory(tmp_path, loaded):
    compare({**SWEEP, "ipc": 1, "options": {"image/toy": {"data": "here", "rows": 5}}}, tmp_path)
    assert ("here", {"rows": 5}) in loaded


def test_steps_reach_methods_that_have_them(tmp_path):
    compare({**SWEEP, "methods": ["dm", "herding"], "ipc": 1}, tmp_path)
    manifest = next((tmp_path / "cells" / "image-toy" / "dm").glob("1-0-*/manifest.json"))
    assert json.loads(manifest.read_text())["method"]["options"]["steps"] == 2
    assert list((tmp_path / "cells" / "image-toy" / "herding").glob("1-0-*/cell.json"))


def test_a_problem_may_have_networks_of_its_own(tmp_path):
    wanted = {**SWEEP, "methods": ["random"], "ipc": 1, "seeds": 1, "distillations": 1, "models": ["transformer"]}
    rows = compare({**wanted, "options": {"image/toy": {"models": ["mlp", "convnet"]}}}, tmp_path)
    assert [row["model"] for row in rows] == ["mlp", "convnet"]


def test_ratios_instead_of_ipc(tmp_path):
    rows = compare({**{k: v for k, v in SWEEP.items() if k != "ipc"}, "ratio": 0.05}, tmp_path)
    assert {r["ratio"] for r in rows} == {0.05}
    assert (tmp_path / "results.md").read_text().count("| ratio 0.05 of labelled rows |") == 2


def test_what_cannot_be_told_from_the_best_is_marked():
    def row(method, values, **more):
        mean = sum(values) / len(values)
        rising = {"problem": "p", "ipc": 1, "model": "m", "metric": "accuracy", "higher_is_better": True}
        return {**rising, "method": method, "mean": mean, "values": values, **more}

    rows = [row("a", [0.9, 0.91, 0.92]), row("b", [0.89, 0.91, 0.9]), row("c", [0.5, 0.51, 0.5])]
    assert [_beside(r, rows)["best"] for r in rows] == [True, True, False]
    falling = [{**r, "higher_is_better": False} for r in rows]
    assert [_beside(r, falling)["best"] for r in falling] == [False, False, True]
    others = [*rows, row("d", [0.2, 0.2, 0.21], ipc=10), {"problem": "p", "method": "e", "ipc": 1, "error": "refused"}]
    assert _beside(others[3], others) == {"best": True, "beside_random": None}, "alone at its budget"
    for metric, verdicts in (
        (rows, ["ahead", "not told apart", "behind"]),
        (falling, ["behind", "not told apart", "ahead"]),
    ):
        beside = [*metric, {**metric[1], "method": "random", "mean": 0.88, "values": [0.87, 0.88, 0.89]}]
        beside[1] = {**metric[1], "mean": 0.88, "values": [0.86, 0.88, 0.91]}
        assert [_beside(r, beside)["beside_random"] for r in beside] == [*verdicts, None]


def test_a_problem_may_have_a_budget_of_its_own(tmp_path):
    wanted = {**SWEEP, "methods": ["random"], "ipc": 1, "seeds": 1, "distillations": 1}
    name = wanted["problems"][0]
    rows = compare({**wanted, "options": {name: {"ipc": [2]}}}, tmp_path / "own")
    assert {row["ipc"] for row in rows} == {2}
    rows = compare({**wanted, "options": {name: {"ratio": 0.1, "ratio_of": "all"}}}, tmp_path / "ratio")
    assert {(row["ratio"], row["ratio_of"]) for row in rows} == {(0.1, "all")}
