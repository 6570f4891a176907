"""distill, evaluate, show, export, estimate and compare where all goes well."""

import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import torch
from safetensors.torch import load_file

from ddcore import open as open_artifact
from ddcore.plugins import installed


def test_distill_says_what_comes_next(ok):
    result = ok("distill", "toy/dots", "--method", "dm", "--ipc", 2, "--steps", 5, "--out", "set")
    assert "4 rows" in result.stdout
    assert "set/dots.txt" in result.stdout
    assert "ddcore evaluate set" in result.stdout
    assert "dm on toy/dots" in result.stderr  # progress


def test_a_run_is_reproduced_from_its_options(ok, tmp_path):
    how = ["--method", "dm", "--ipc", 3, "--seed", 7, "--set", "lr=0.5", "--set", "problem.n=40", "--steps", 5]
    ok("distill", "toy/dots", *how, "--out", "a")
    written = tomllib.loads((tmp_path / "a/run.toml").read_text())
    assert written["options"]["lr"] == 0.5
    assert written["problem_options"] == {"n": 40, "spread": 0.3, "smudged": False}, "defaults too"
    assert written["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    ok("distill", "--config", "a/run.toml", "--out", "b")
    a, b = (tmp_path / d / "data.safetensors" for d in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert (tmp_path / "b/run.toml").read_text() == (tmp_path / "a/run.toml").read_text()


def test_flags_win_over_the_file(ok, distilled, tmp_path):
    ok("distill", "--config", distilled / "run.toml", "--ratio", 0.2, "--seed", 3, "--set", "lr=0.25", "--out", "b")
    written = tomllib.loads((tmp_path / "b/run.toml").read_text())
    assert written["budget"] == {"ratio": 0.2, "ratio_of": "labelled"}
    assert (written["seed"], written["options"]["lr"], written["options"]["steps"]) == (3, 0.25, 5)


@pytest.mark.parametrize(("flags", "rows"), [(["--ratio", 0.1], 4), (["--ratio", 0.1, "--ratio-of", "all"], 8)])
def test_ratios(ok, tmp_path, flags, rows):
    ok("distill", "toy/dots", "--method", "random", *flags, "--out", "set")
    assert len(load_file(tmp_path / "set/data.safetensors")["x"]) == rows


@pytest.mark.parametrize("method", ["random", "dm"])
def test_a_set_weighs_no_more_than_it_may(ok, tmp_path, method):
    ok("distill", "toy/dots", "--method", method, "--bytes", 70, "--out", "set", *(["--steps", 1] * (method == "dm")))
    assert open_artifact(tmp_path / "set").bytes == 64  # 4 rows of 2 x 4 bytes, and 8 for the class of each


def test_evaluate(as_json, ok, documented, distilled):
    report = as_json("evaluate", distilled, "--seeds", 2, "--model", "narrow", "--model", "wide")
    assert report.keys() == documented("evaluate")
    for kind in ("scores", "baselines"):
        assert [s["model"] for s in report[kind]] == ["narrow", "wide"]
        for s in report[kind]:
            assert {"metric", "mean", "std", "seeds", "model", "protocol"} <= s.keys()
            assert (s["metric"], s["seeds"], s["protocol"]) == ("accuracy", 2, "toy@1")
    assert json.loads((distilled / "scores.json").read_text()) == report
    ok("show", distilled)  # scores do not count as tampering


def test_evaluated_twice_the_numbers_are_the_same(as_json, distilled):
    flags = ("--seeds", 2, "--ceiling", "--fair", "--baseline", "k-means")
    one, two = (as_json("evaluate", distilled, *flags) for _ in range(2))
    assert one.pop("seconds") > 0
    assert two.pop("seconds") > 0
    assert one == two


def test_in_a_terminal_the_bar_leaves_stdout_alone(distilled):
    pty = pytest.importorskip("pty", reason="terminals of this kind are POSIX")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ddcore", "evaluate", distilled, "--seeds", "1", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    assert json.loads(done.stdout)["scores"]
    assert b"evaluating" in os.read(ours, 1 << 16)
    os.close(ours)


def test_a_distillation_s_bar_shows_the_loss_and_the_time_left(tmp_path):
    pty = pytest.importorskip("pty", reason="terminals of this kind are POSIX")
    ours, theirs = pty.openpty()
    words = ["distill", "toy/dots", "--method", "dm", "--ipc", "1", "--steps", "200", "--out", "set"]
    running = subprocess.Popen([sys.executable, "-m", "ddcore", *words], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while len(found := _read(ours)):
        shown += found
    os.close(ours)
    assert running.wait() == 0
    lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode().replace("\r", "\n").splitlines()
    assert any(re.search(r"dm on toy/dots .* \d+/200 loss \d\S* .*left 0:00:\d\d", line) for line in lines), lines


def _read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux: the other end is closed
        return b""


def test_evaluate_on_corrupted_rows(as_json, ok, distilled, tmp_path):
    assert "toy/dots names no corruptions" in as_json("evaluate", distilled, "--seeds", 1, "--corrupted")["notes"][-1]
    ok("distill", "toy/dots", "--method", "random", "--ipc", 1, "--set", "problem.smudged=true", "--out", "smudged")
    report = as_json("evaluate", "smudged", "--seeds", 2, "--corrupted")
    for kind in ("scores", "baselines"):
        assert [s["metric"] for s in report[kind]] == ["accuracy", "accuracy under zeros"]
        assert report[kind][1]["values"] == [0.5, 0.5], "one answer for all rows, of two classes alike"


def test_evaluate_beside_other_selections(as_json, ok, distilled):
    report = as_json("evaluate", distilled, "--seeds", 1, "--baseline", "herding", "--baseline", "k-center")
    assert [score["method"] for score in report["baselines"]] == ["random", "herding", "k-center"]
    assert json.loads((distilled / "scores.json").read_text())["baselines"] == report["baselines"]
    ok("report", distilled)
    page = (distilled / "report.html").read_text()
    assert all(f'<th class="number">{name}</th>' in page for name in ("random rows", "herding", "k-center"))


def test_evaluate_prints_the_table(ok, distilled):
    shown = ok("evaluate", distilled, "--seeds", 1).stdout
    assert all(word in shown for word in ("narrow", "accuracy", "random rows", "all rows", "toy@1"))
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_evaluate_finds_the_data_again(ok, as_json, refused, tmp_path):
    lines = [f"{2 * (i % 2) - 1 + 0.01 * i} {0.02 * i} {i % 2}" for i in range(40)]
    (tmp_path / "dots.txt").write_text("\n".join(lines))
    ok("distill", "toy/filed", "--data", "dots.txt", "--method", "random", "--ipc", 1, "--out", "set")
    assert tomllib.loads((tmp_path / "set/run.toml").read_text())["data"] == str(tmp_path / "dots.txt")
    assert as_json("evaluate", "set", "--seeds", 1)["notes"] == []
    assert "\nWarning: one dot is far out\n" in ok("evaluate", "set", "--seeds", 1).stderr
    (tmp_path / "dots.txt").rename(tmp_path / "moved.txt")
    assert "--data" in refused("evaluate", "set", "--seeds", 1)
    assert as_json("evaluate", "set", "--seeds", 1, "--data", "moved.txt")["notes"] == []
    (tmp_path / "other.txt").write_text("\n".join(lines[:-2]))
    assert "fingerprints differ" in as_json("evaluate", "set", "--seeds", 1, "--data", "other.txt")["notes"][0]


def test_show(ok, distilled, tmp_path):
    shown = ok("show", distilled).stdout
    expected = (
        "toy/dots",
        "dm, preset quick",
        "lr 1.0",
        "WACV 2023",
        "ipc 2",
        "4 in 2 groups, 2 each",
        "data.safetensors",
    )
    assert all(word in shown for word in expected)
    assert "labels 32" in shown  # bytes: 4 class numbers
    assert str(distilled / "dots.txt") in shown.replace("\n", "")
    assert (distilled / "dots.txt").read_text().rstrip() in shown, "a picture that is text is shown"
    ok("show", distilled, "--out", "drawn")
    assert (tmp_path / "drawn/dots.txt").read_bytes() == (distilled / "dots.txt").read_bytes()


def test_export(ok, distilled, tmp_path):
    assert "set.pt" in ok("export", distilled, "--to", "pt", "--out", "set.pt").stdout
    exported = torch.load(tmp_path / "set.pt", weights_only=True)
    stored = load_file(distilled / "data.safetensors")
    assert all(torch.equal(exported[name], stored[name]) for name in stored)


def test_export_where_the_plugin_is_gone(ddcore, distilled, monkeypatch):
    monkeypatch.setenv("DDCORE_LOAD_PLUGINS", "none")
    installed.cache_clear()
    result = ddcore("export", distilled, "--to", "pt", "--out", "set.pt")
    assert result.exit_code == 0
    assert "without the problem" in result.stderr


def test_estimate(as_json, ok, documented):
    found = as_json("estimate", "toy/dots", "--method", "dm", "--ipc", 1, "--steps", 30)
    assert found.keys() == documented("estimate")
    assert found["steps"] == 30
    assert found["seconds"] == pytest.approx(found["setup_seconds"] + 30 * found["seconds_per_step"])
    assert found["disk_bytes"] > 0
    assert "memory" in ok("estimate", "toy/dots", "--method", "dm", "--ipc", 1, "--steps", 3).stdout


SWEEP = """
problems = ["toy/dots"]
methods = ["dm", "k-means"]
ipc = [1, 2]
distillations = 1
seeds = 2
steps = 3
[options.k-means]
epochs = 1
"""


def test_compare(as_json, ok, documented, tmp_path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    rows = as_json("compare", "sweep.toml", "--out", "table")
    assert [(r["method"], r["ipc"]) for r in rows] == [(m, n) for m in ("dm", "k-means", "random") for n in (1, 2)]
    for row in rows:
        assert row.keys() == documented("compare")
    before = {f: f.stat().st_mtime_ns for f in tmp_path.glob("table/cells/**/cell.json")}
    assert len(before) == 6
    shown = ok("compare", "sweep.toml", "--out", "table").stdout
    assert {f: f.stat().st_mtime_ns for f in before} == before  # finished cells are not run again
    assert "k-means" in shown
    assert any(verdict in shown for verdict in ("ahead", "behind", "not told"))
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_digits_from_end_to_end(as_json, ok, monkeypatch, tmp_path):
    pytest.importorskip("ddcore_image", reason="the image plugin is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn brings the digits")
    monkeypatch.setenv("DDCORE_LOAD_PLUGINS", "image")
    installed.cache_clear()
    if not installed().entries("problem"):
        pytest.skip("the image plugin is on the path but not installed")
    result = ok("distill", "image/digits", "--method", "dm", "--ipc", 1, "--steps", 3, "--out", "digits")
    picture = next(line.split()[-1] for line in result.stdout.splitlines() if "picture" in line)
    assert (tmp_path / picture).read_bytes()
    x = load_file(tmp_path / "digits/data.safetensors")["x"]
    assert (x.shape[0], x.isfinite().all().item()) == (10, True)
    ok("show", "digits")


def test_a_page_is_written_into_the_run_or_elsewhere(ok, refused, distilled, tmp_path):
    pytest.importorskip("jinja2", reason="pages need ddcore[report]")
    assert "report.html" in ok("report", distilled).stdout
    assert "dm on toy/dots" in (distilled / "report.html").read_text()
    ok("evaluate", distilled, "--seeds", 1)
    ok("report", distilled, distilled, "--out", "both.html")
    assert "2 runs" in (tmp_path / "both.html").read_text()
    assert "--out FILE" in refused("report", distilled, distilled)
    ok("show", distilled)  # the page is no part of the artifact


@pytest.mark.parametrize("how", [[], ["--json"]], ids=["table", "json"])
def test_a_comparison_leaves_a_page_and_a_parquet_table(ok, how, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs ddcore[hf]")
    (tmp_path / "sweep.toml").write_text(
        'problems = ["toy/dots"]\nmethods = ["dm", "kip"]\nipc = 1\nseeds = 2\nsteps = 2\ndistillations = 1\n'
    )
    done = ok("compare", "sweep.toml", "--out", "table", *how)
    rows = json.loads((tmp_path / "table/results.json").read_text())
    table = parquet.read_table(tmp_path / "table/results.parquet").to_pylist()
    assert [row["mean"] for row in table] == [row.get("mean") for row in rows]
    assert "random" in (tmp_path / "table/results.html").read_text()
    said, other = (done.stderr, done.stdout) if how else (done.stdout, done.stderr)
    assert all(name in said and name not in other for name in ("results.md", "results.html", "results.parquet"))
    assert "toy/dots, kip, ipc 1: " in done.stderr
    if how:
        assert json.loads(done.stdout) == rows
    else:
        assert "table/report.html" in ok("report", "table").stdout


def test_what_a_run_logs_can_be_followed(ok, tmp_path):
    ok("distill", "toy/dots", "--method", "dm", "--ipc", 1, "--steps", 3, "--out", "a", "--log", "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [json.loads(line) for line in (tmp_path / "a/history.jsonl").read_text().splitlines()]
