"""Sweeps: statistics, work done once, what is finished stays finished, refusals and bad files."""

import contextlib
import json
import os
import random
import signal
import statistics
import sys
import time
from dataclasses import replace

import pytest
import toys

from ddcore import artifact, comparison
from ddcore.comparison import _best, compare
from ddcore.errors import NotSupported, OptionError, UnknownName

SWEEP = {"problems": ["image/toy"], "methods": ["dm"], "ipc": [1, 2], "distillations": 2, "seeds": 3, "steps": 2}


@pytest.fixture(autouse=True)
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


def only(rows, **wanted):
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


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
    cells = sorted((tmp_path / "cells" / "image-toy" / "dm").glob("1-*/scores.json"))
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
    assert {r["method"]: r["distillations"] for r in rows} == {"dm": 3, "random": 1}
    assert sorted(distilled) == ["dm", "dm", "dm", "random"]
    with pytest.raises(OptionError, match="distillations for dn, which are not among the methods"):
        compare({**SWEEP, "distillations": {"dn": 3}}, tmp_path)


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


def test_a_rerun_computes_what_is_missing_and_gives_the_same_rows(tmp_path, distilled):
    rows = compare(SWEEP, tmp_path)
    assert len(distilled) == 8
    assert compare(SWEEP, tmp_path) == rows
    assert len(distilled) == 8
    lost = next((tmp_path / "cells" / "image-toy" / "dm").glob("2-1-*"))
    (lost / "scores.json").unlink()  # the set stands, its scores were not written
    assert compare(SWEEP, tmp_path) == rows
    assert distilled[8:] == ["dm"]
    compare({**SWEEP, "ipc": [1, 2, 3]}, tmp_path)
    assert len(distilled) == 9 + 4


def test_an_interrupted_sweep_goes_on(tmp_path, monkeypatch):
    whole = compare(SWEEP, tmp_path / "whole")
    real, done = comparison._perform, []

    def perform(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(real(*arguments))
        return done[-1]

    monkeypatch.setattr(comparison, "_perform", perform)
    with pytest.raises(KeyboardInterrupt):
        compare(SWEEP, tmp_path / "cut")
    monkeypatch.setattr(comparison, "_perform", real)
    resumed = compare(SWEEP, tmp_path / "cut")
    assert [{**r, "seconds": None} for r in resumed] == [{**r, "seconds": None} for r in whole]


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
    told = []
    rows = compare(SWEEP, tmp_path / "two", jobs=2, progress=lambda *said: told.append(said))
    assert [said[1:] for said in told] == [(i, 8, "") for i in range(1, 9)]
    alone = compare(SWEEP, tmp_path / "one")
    assert [row["values"] for row in rows] == [row["values"] for row in alone]


def test_ray_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    with pytest.raises(NotSupported, match="pip install"):
        compare(SWEEP, tmp_path, jobs=2, backend="ray")


def test_equal_work_under_two_names_is_done_once(tmp_path, distilled):
    sweep = {**SWEEP, "methods": ["dm", "again", "slow"], "ipc": 1}
    sweep["options"] = {"again": {"method": "dm"}, "slow": {"method": "dm", "lr": 0.01}}
    rows = compare(sweep, tmp_path)
    assert len(distilled) == 6  # dm, slow and random, two distillations each
    same, other = only(rows, method="again")[0], only(rows, method="slow")[0]
    assert same["mean"] == only(rows, method="dm")[0]["mean"]
    assert other["method"] == "slow"


def test_options_of_a_problem_reach_its_factory(tmp_path, loaded):
    compare({**SWEEP, "ipc": 1, "options": {"image/toy": {"data": "here", "rows": 5}}}, tmp_path)
    assert ("here", {"rows": 5}) in loaded


def test_steps_reach_methods_that_have_them(tmp_path):
    compare({**SWEEP, "methods": ["dm", "herding"], "ipc": 1}, tmp_path)
    manifest = next((tmp_path / "cells" / "image-toy" / "dm").glob("1-0-*/manifest.json"))
    assert json.loads(manifest.read_text())["method"]["options"]["steps"] == 2
    assert list((tmp_path / "cells" / "image-toy" / "herding").glob("1-0-*/scores.json"))


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
    ],
)
def test_bad_sweeps_are_refused_before_any_work(tmp_path, change, said, distilled):
    sweep = {k: v for k, v in {**SWEEP, **change}.items() if v is not None}
    with pytest.raises(OptionError, match=said):
        compare(sweep, tmp_path)
    assert not distilled


def test_an_unknown_method_and_problem(tmp_path):
    with pytest.raises(UnknownName, match="dmm"):
        compare({**SWEEP, "methods": ["dmm"]}, tmp_path)
    with pytest.raises(UnknownName, match="image/toi"):
        compare({**SWEEP, "problems": ["image/toi"]}, tmp_path)


def test_ratios_instead_of_ipc(tmp_path):
    rows = compare({**{k: v for k, v in SWEEP.items() if k != "ipc"}, "ratio": 0.05}, tmp_path)
    assert {r["ratio"] for r in rows} == {0.05}


def test_what_cannot_be_told_from_the_best_is_marked():
    def row(method, values, **more):
        mean = sum(values) / len(values)
        rising = {"problem": "p", "ipc": 1, "model": "m", "metric": "accuracy", "higher_is_better": True}
        return {**rising, "method": method, "mean": mean, "values": values, **more}

    rows = [row("a", [0.9, 0.91, 0.92]), row("b", [0.89, 0.91, 0.9]), row("c", [0.5, 0.51, 0.5])]
    assert [_best(r, rows) for r in rows] == [True, True, False]
    falling = [{**r, "higher_is_better": False} for r in rows]
    assert [_best(r, falling) for r in falling] == [False, False, True]
    others = [*rows, row("d", [0.2, 0.2, 0.21], ipc=10), {"problem": "p", "method": "e", "ipc": 1, "error": "refused"}]
    assert _best(others[3], others), "alone at its budget"


def test_a_problem_may_have_a_budget_of_its_own(tmp_path):
    wanted = {**SWEEP, "methods": ["random"], "ipc": 1, "seeds": 1, "distillations": 1}
    name = wanted["problems"][0]
    rows = compare({**wanted, "options": {name: {"ipc": [2]}}}, tmp_path / "own")
    assert {row["ipc"] for row in rows} == {2}
    rows = compare({**wanted, "options": {name: {"ratio": 0.1, "ratio_of": "all"}}}, tmp_path / "ratio")
    assert {(row["ratio"], row["ratio_of"]) for row in rows} == {(0.1, "all")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_sweep_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path):
    wanted = {**SWEEP, "methods": ["dm", "dc"], "steps": 6, "seeds": 1}
    whole = compare(wanted, tmp_path / "whole")
    rng, kills = random.Random(0), 0
    while kills < 10:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                compare(wanted, tmp_path / "killed")
            os._exit(0)
        time.sleep(rng.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1

    def told(rows):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    assert told(compare(wanted, tmp_path / "killed")) == told(whole)
