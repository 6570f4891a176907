"""Sweeps that go on: work is done once, what is finished stays finished, and what was damaged or killed is done again."""

import json
import os
import random
import signal
import sys
import tomllib
import traceback
from pathlib import Path

import pytest
from sweeps import SWEEP, only

from ddcore import comparison, distillation
from ddcore.comparison import compare
from ddcore.errors import DataError, NotSupported

pytestmark = pytest.mark.usefixtures("loaded")


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


def test_equal_work_under_two_names_is_done_once(tmp_path, distilled):
    sweep = {**SWEEP, "methods": ["dm", "again", "slow"], "ipc": 1}
    sweep["options"] = {"again": {"method": "dm"}, "slow": {"method": "dm", "lr": 0.01}}
    rows = compare(sweep, tmp_path)
    assert len(distilled) == 6  # dm, slow and random, two distillations each
    same, other = only(rows, method="again")[0], only(rows, method="slow")[0]
    assert same["mean"] == only(rows, method="dm")[0]["mean"]
    assert other["method"] == "slow"


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
