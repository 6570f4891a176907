"""Sweeps: statistics, work done once, what is finished stays finished, refusals and bad files."""

import json
import os
import random
import signal
import statistics
import sys
import tomllib
import traceback
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
import toys

from ddcore import artifact, comparison, distillation
from ddcore.comparison import _beside, compare
from ddcore.errors import DataError, NotSupported, OptionError, UnknownName

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


def test_a_rerun_computes_what_is_missing_and_gives_the_same_rows(tmp_path, distilled):
    rows = compare(SWEEP, tmp_path)
    assert len(distilled) == 8
    assert compare(SWEEP, tmp_path) == rows
    assert len(distilled) == 8
    lost = next((tmp_path / "cells" / "image-toy" / "dm").glob("2-1-*"))
    (lost / "cell.json").unlink()  # the set stands, its scores were not written
    assert compare(SWEEP, tmp_path) == rows
    assert len(distilled) == 8
    compare({**SWEEP, "ipc": [1, 2, 3]}, tmp_path)
    assert len(distilled) == 8 + 4


def test_a_set_that_was_damaged_is_made_again(tmp_path, distilled):
    rows = compare(SWEEP, tmp_path)
    cell = next((tmp_path / "cells" / "image-toy" / "dm").glob("2-1-*"))
    (cell / "cell.json").unlink()
    with (cell / "data.safetensors").open("ab") as file:
        file.write(b"x")
    assert [row["values"] for row in compare(SWEEP, tmp_path)] == [row["values"] for row in rows]
    assert len(distilled) == 8 + 1


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


def test_what_evaluate_leaves_in_a_cell_s_folder_is_its_own(tmp_path, distilled):
    """`ddcore evaluate CELL` writes scores.json; cells once had their result under that name."""
    wanted = {**SWEEP, "ipc": 1}
    rows = compare(wanted, tmp_path)
    evaluated = json.dumps({"scores": [{"metric": "accuracy"}], "baselines": []})
    a, b = (tmp_path / "cells" / "image-toy" / "dm").glob("1-*")
    (a / "scores.json").write_text(evaluated)
    assert compare(wanted, tmp_path) == rows
    (a / "cell.json").rename(a / "scores.json")  # of before, and read as it was
    (b / "cell.json").unlink()
    (b / "scores.json").write_text(evaluated)  # of before, and written over: its networks are trained again
    assert compare(wanted, tmp_path) == rows
    assert not (a / "cell.json").exists()
    assert (b / "cell.json").is_file()
    assert len(distilled) == 4


def test_a_cell_s_set_knows_its_data(tmp_path):
    compare({**SWEEP, "methods": ["random"], "ipc": 1, "options": {"image/toy": {"data": "here"}}}, tmp_path)
    cell = next((tmp_path / "cells").glob("*/random/1-0-*"))
    assert tomllib.loads((cell / "run.toml").read_text())["data"] == str(Path("here").resolve())


def test_an_interrupted_sweep_goes_on(tmp_path, monkeypatch):
    wanted = {**SWEEP, "ipc": 1}
    whole = compare(wanted, tmp_path / "whole")
    real, done = comparison._perform, []

    def perform(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(real(*arguments))
        return done[-1]

    monkeypatch.setattr(comparison, "_perform", perform)
    with pytest.raises(KeyboardInterrupt):
        compare(wanted, tmp_path / "cut")
    monkeypatch.setattr(comparison, "_perform", real)
    resumed = compare(wanted, tmp_path / "cut")
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
    told, wanted = [], {**SWEEP, "ipc": 1}
    rows = compare(wanted, tmp_path / "two", jobs=2, progress=lambda *said: told.append(said))
    assert [said[1:] for said in told] == [(i, 4, "") for i in range(1, 5)]
    alone = compare(wanted, tmp_path / "one")
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


def test_a_failed_cell_is_tried_again_and_a_refused_one_is_not(tmp_path, monkeypatch):
    """Whatever a failure or a kill left in its folder."""
    wanted, real, asked = {**SWEEP, "ipc": 1, "distillations": 1}, comparison.distill, []

    def distill(problem, method, **arguments):
        asked.append(method)
        raise failure

    monkeypatch.setattr(comparison, "distill", distill)
    for failure in (DataError("a file | is\nmissing"), NotSupported("never")):
        rows = compare({**wanted, "methods": ["random"]}, tmp_path)
        assert [row["error"] for row in rows] == [str(failure)]
    lines = (tmp_path / "results.md").read_text().splitlines()
    assert len(lines) == 5
    compare({**wanted, "methods": ["random"]}, tmp_path)
    assert asked == ["random", "random"], "what is not supported stays so"
    failure = DataError("a file | is\nmissing")
    compare(wanted, tmp_path)
    (line,) = (text for text in (tmp_path / "results.md").read_text().splitlines() if "missing" in text)
    assert line.count("|") - line.count("\\|") == 14
    assert "a file \\| is missing" in line
    (folder,) = tmp_path.glob("cells/*/dm/1-0-*")
    (folder / "cell.json").unlink()  # killed before it was written
    monkeypatch.setattr(comparison, "distill", real)
    assert "mean" in only(compare(wanted, tmp_path), method="dm")[0]


def test_a_checkpoint_of_data_that_stood_elsewhere_does_not_stop_a_sweep(tmp_path, distilled):
    wanted = {**SWEEP, "ipc": 1, "distillations": 1}
    rows = compare(wanted, tmp_path)
    (folder,) = tmp_path.glob("cells/*/dm/1-0-*")
    partial = folder.rename(folder.with_name(f"{folder.name}.partial"))
    for file in partial.iterdir():
        file.unlink()
    (partial / "run.toml").write_text('data = "there"')
    again = compare(wanted, tmp_path)
    assert [row["values"] for row in again] == [row["values"] for row in rows]
    assert not partial.exists()


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


def test_a_problem_may_have_networks_of_its_own(tmp_path):
    wanted = {**SWEEP, "methods": ["random"], "ipc": 1, "seeds": 1, "distillations": 1, "models": ["transformer"]}
    rows = compare({**wanted, "options": {"image/toy": {"models": ["mlp", "convnet"]}}}, tmp_path)
    assert [row["model"] for row in rows] == ["mlp", "convnet"]


def test_an_unknown_method_and_problem(tmp_path):
    with pytest.raises(UnknownName, match="dmm"):
        compare({**SWEEP, "methods": ["dmm"]}, tmp_path)
    with pytest.raises(UnknownName, match="image/toi"):
        compare({**SWEEP, "problems": ["image/toi"]}, tmp_path)


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


WRITING = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")


def killed_at(work, folder, act):
    """Whether the work, in a process of its own, was killed before it made, moved or removed the `act`-th file in the folder:
    it is not where it ended before, or failed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    acts = 0

    def watch(event, arguments):
        nonlocal acts
        reads = event == "open" and not str(arguments[1]).startswith("w")
        if event in WRITING and not reads and str(folder) in str(arguments[0]):
            acts += 1
            if acts == act:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(watch)
        work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_sweep_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path, monkeypatch):
    """Ten times, each between two random ones of the acts that leave something; every update leaves a checkpoint."""
    monkeypatch.setattr(distillation, "CHECKPOINT_SECONDS", 0.0)
    wanted, out = {**SWEEP, "steps": 4, "seeds": 1}, tmp_path / "killed"
    whole = compare(wanted, tmp_path / "whole")
    rng, finished, checkpoints = random.Random(0), [0], 0
    for _ in range(10):
        assert killed_at(lambda: compare(wanted, out), out, rng.randint(5, 28)), "at work"
        finished.append(len(list(out.glob("cells/*/*/*/cell.json"))))
        checkpoints += bool(list(out.glob("cells/*/*/*.partial/checkpoint-0")))
    assert finished == sorted(finished), "finished cells stay"
    assert 0 < finished[-1] < 8
    assert checkpoints > 3, "and those at work are gone on with"

    def told(rows):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]

    assert told(compare(wanted, out)) == told(whole)
