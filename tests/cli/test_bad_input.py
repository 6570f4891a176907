"""Bad input: exit code 2, one clear message on stderr that says what to do, nothing half written."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

GIVEN = ["--method", "random", "--ipc", "1", "--out", "x"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["toy/dot", *GIVEN], ["no problem 'toy/dot'", "toy/dots"]),
        (["toy/dots", *GIVEN, "--method", "dcx"], ["no method 'dcx'", "dc"]),
        (["toy/dots", *GIVEN, "--method", "dm", "--set", "model=wider"], ["no model 'wider'", "wide"]),
        (["toy/dots", *GIVEN, "--ipc", "21"], ["20 training rows", "21", "largest ipc"]),
        (["toy/dots", *GIVEN, "--ipc", "0"], ["ipc must be at least 1"]),
        (["toy/dots", *GIVEN, "--ratio", "0.1"], ["one budget", "--ipc and --ratio"]),
        (["toy/dots", *GIVEN[:2], "--ratio", "1.5", "--out", "x"], ["(0, 1]", "1.5"]),
        (["toy/dots", *GIVEN[:2], "--ratio", "nan", "--out", "x"], ["(0, 1]", "nan"]),
        (["toy/dots", *GIVEN[:-1], "."], ["'.' names no new folder", "--out"]),
        (["toy/dots", *GIVEN[:-1], ""], ["'.' names no new folder", "--out"]),
        (["toy/dots", *GIVEN[:-1], "/"], ["'/' names no new folder", "--out"]),
        (["toy/dots", *GIVEN[:2], "--bytes", "17", "--out", "x"], ["17 bytes", "row", "16 bytes"]),
        (["toy/dots", *GIVEN[:2], "--out", "x"], ["one budget", "--ipc 10"]),
        (["toy/dots", *GIVEN, "--ratio-of", "all"], ["--ratio-of goes with --ratio"]),
        (["toy/dots", *GIVEN[2:]], ["no method is given", "--method NAME"]),
        (GIVEN, ["no problem is given", "first argument"]),
        (["toy/dots", *GIVEN, "--data", "nowhere"], ["toy/dots brings its own data"]),
        (["toy/filed", *GIVEN], ["toy/filed needs its data", "--data PATH"]),
        (["toy/filed", *GIVEN, "--data", "nowhere"], ["nothing at nowhere"]),
        (["toy/filed", *GIVEN, "--data", "."], ["no lines of three numbers"]),
        (["toy/dots", *GIVEN, "--method", "dm", "--set", "lrr=1"], ["method dm", "no option 'lrr'", "Did you mean lr"]),
        (["toy/dots", *GIVEN, "--method", "dm", "--set", "lr=fast"], ["lr", "fast", "number > 0"]),
        (["toy/dots", *GIVEN, "--method", "dm", "--set", "steps=0.5"], ["steps = 0.5", "integer >= 1"]),
        (["toy/dots", *GIVEN, "--set", "problem.m=9"], ["toy/dots", "no option 'm'", "n"]),
        (["toy/dots", *GIVEN, "--set", "problem.n=2"], ["n = 2", "integer >= 8"]),
        (["toy/dots", *GIVEN, "--set", "lr"], ["expected key=value"]),
        (["toy/dots", *GIVEN, "--preset", "fast"], ["no preset 'fast'", "quick"]),
        (["toy/dots", *GIVEN, "--device", "gpu"], ["no device 'gpu'", "cpu"]),
        (["toy/dots", *GIVEN, "--config", "nowhere.toml"], ["nowhere.toml"]),
        (["toy/dots", *GIVEN[:-2]], ["--out"]),
        (["toy/dots", *GIVEN, "--steps", "0"], ["--steps"]),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else None,
)
def test_distill(refused, words, said, tmp_path):
    message = refused("distill", *words)
    assert all(text in message for text in said), message
    assert not (tmp_path / "x").exists()


def test_a_plugin_of_ours_that_is_not_installed(refused, monkeypatch):
    monkeypatch.setattr("ddcore.plugins.manager.FIRST_PARTY", ("ocean",))
    assert "pip install ddcore-ocean" in refused("distill", "ocean/tides", *GIVEN)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["distill", "faulty/untyped", *GIVEN], ["faulty/untyped", "options cannot be read", "typed parameter"]),
        (["problems", "faulty/untyped"], ["faulty/untyped", "options cannot be read", "typed parameter"]),
        (["methods", "faulty/text"], ["faulty_things:TEXT is of type str", "needs a Method"]),
        (["methods", "faulty/exits"], ["faulty/exits", "SystemExit: no licence found"]),
    ],
)
def test_a_plugin_whose_entries_are_faulty(ddcore, faulty, words, said):
    result = ddcore(*words)
    assert result.exit_code == 2
    assert all(text in result.stderr for text in said), result.stderr


def test_a_wrong_command(refused):
    assert "Did you mean distill" in refused("distil")


def test_files_that_are_no_configuration(refused, tmp_path):
    (tmp_path / "broken.toml").write_text("problem = ")
    assert "broken.toml is not TOML" in refused("distill", "--config", "broken.toml", "--out", "x")
    assert "broken.toml is not TOML" in refused("compare", "broken.toml", "--out", "x")
    (tmp_path / "typo.toml").write_text('problm = "toy/dots"\nseed = "one"\n')
    message = refused("distill", "--config", "typo.toml", "--out", "x")
    assert "'problm'. Did you mean problem" in message
    assert 'seed = "one"' in message
    (tmp_path / "gpu.toml").write_text('problem = "toy/dots"\nmethod = "random"\ndevice = "gpu"\nbudget.ipc = 1\n')
    assert "no device 'gpu'" in refused("distill", "--config", "gpu.toml", "--out", "x")
    (tmp_path / "sweep.toml").write_text('problems = ["toy/dots"]\nmethods = ["dm"]\n')
    assert "ipc" in refused("compare", "sweep.toml", "--out", "x")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('models = ["wiide"]', ["no model 'wiide' in toy/dots", "Did you mean wide"]),
        ('protocol = "match"', ["no protocol 'match'", "matching@1"]),
    ],
)
def test_a_sweep_s_networks_and_protocol_are_checked_before_any_work(refused, tmp_path, line, said):
    (tmp_path / "sweep.toml").write_text(f'problems = ["toy/dots"]\nmethods = ["dm"]\nipc = 1\n{line}\n')
    message = refused("compare", "sweep.toml", "--out", "x")
    assert all(text in message for text in said), message
    assert not (tmp_path / "x").exists()


def test_a_preset_does_not_change_options_that_a_file_sets(refused, distilled):
    message = refused("distill", "--config", distilled / "run.toml", "--preset", "paper", "--out", "x")
    assert "[options]" in message


def test_the_output_is_there_already(refused, distilled):
    before = {f.name: f.read_bytes() for f in distilled.iterdir()}
    message = refused("distill", "toy/dots", *GIVEN[:-1], distilled)
    assert "is there already" in message
    assert {f.name: f.read_bytes() for f in distilled.iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model", "wiide"], ["no model 'wiide'", "Did you mean wide"]),
        (["--protocol", "match"], ["no protocol 'match'", "matching@1"]),
        (["--baseline", "herdin"], ["no selection method 'herdin'", "Did you mean herding"]),
        (["--seeds", "0"], ["seeds must be at least 1"]),
        (["--device", "cuda:99"], ["cuda:99", "--device cpu"]),
        (["--search-lr"], ["searched on val", "toy/dots has no val rows"]),
    ],
)
def test_evaluate(refused, distilled, flags, said):
    message = refused("evaluate", distilled, *flags, "--json")
    assert all(text in message for text in said), message
    assert not (distilled / "scores.json").exists()


@pytest.mark.parametrize("command", [["evaluate"], ["show"], ["report"], ["export", "--to", "pt", "--out", "y"]])
def test_artifacts_that_are_not_whole(refused, distilled, command, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no distilled set" in refused(*command, tmp_path / "nowhere")
    assert "no distilled set" in refused(*command, tmp_path / "empty")
    data = distilled / "data.safetensors"
    whole = data.read_bytes()
    for damaged in (whole[:-3], whole[:-1] + bytes([whole[-1] ^ 1])):
        data.write_bytes(damaged)
        assert "cut short or altered" in refused(*command, distilled)
    data.unlink()
    assert "data.safetensors cannot be read" in refused(*command, distilled)
    data.write_bytes(whole)
    manifest = json.loads((distilled / "manifest.json").read_text())
    (distilled / "manifest.json").write_text(json.dumps({**manifest, "seed": 5}))
    assert "manifest.json" in refused(*command, distilled)
    (distilled / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    assert "format 99" in refused(*command, distilled)


def test_export(refused, distilled, tmp_path):
    assert "Did you mean pt" in refused("export", distilled, "--to", "ptt", "--out", "y")
    (tmp_path / "there.pt").write_text("mine")
    assert "is there already" in refused("export", distilled, "--to", "pt", "--out", "there.pt")
    assert (tmp_path / "there.pt").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "said"), [("[{", "cut short"), (b"\xff", "cut short"), ("{}", "holds no rows"), ('["a"]', "holds no rows")]
)
def test_a_comparison_whose_rows_are_damaged(refused, tmp_path, text, said):
    (tmp_path / "results.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    message = refused("report", tmp_path)
    assert "results.json" in message
    assert said in message


@pytest.mark.parametrize("name", ["scores.json", "cost.json"])
def test_a_page_of_a_set_whose_notes_are_damaged(refused, distilled, name):
    (distilled / name).write_text("{")
    assert f"{name} in " in (message := refused("report", distilled))
    assert "is damaged: remove it" in message


def test_import_into_what_is_there(refused, tmp_path):
    torch.save({"data": [[torch.eye(2), torch.tensor([1, 0])]]}, tmp_path / "theirs.pt")
    words = ["import", "theirs.pt", "--from", "pt", "--problem", "toy/dots"]
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/mine.txt").write_text("mine")
    assert "holds something else (mine.txt)" in refused(*words, "--out", "kept")
    assert [(f.name, f.read_text()) for f in (tmp_path / "kept").iterdir()] == [("mine.txt", "mine")]


def test_a_comparison_beside_something_else_is_no_page(refused, distilled, tmp_path):
    (tmp_path / "table").mkdir()
    (tmp_path / "table/results.json").write_text("[]")
    assert "table is a comparison: it has a page of its own" in refused("report", "table", distilled, "--out", "p.html")
    assert not (tmp_path / "p.html").exists()


def test_no_space_on_the_disk(refused, monkeypatch, tmp_path):
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "data.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    message = refused("distill", "toy/dots", *GIVEN)
    assert "no space is left" in message
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("words", [["toy/dot", *GIVEN], ["toy/dots", *GIVEN, "--method", "rando"]])
def test_wrong_names_are_told_before_torch_is_imported(words):
    code = "import sys; from ddcore.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "distill", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Did you mean" in done.stderr
    assert done.stdout == "False\n"


def test_only_debug_shows_a_traceback(ddcore):
    words = ["distill", "toy/dots", *GIVEN, "--ipc", "99"]
    for result in (ddcore(*words, "--debug"), ddcore("--debug", *words)):
        assert result.exit_code == 2
        assert "Traceback" in result.stderr
        assert "BudgetError: " in result.stderr
        assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_a_bug_is_one_line_too(ddcore, monkeypatch):
    monkeypatch.setattr("ddcore.distillation.distill", lambda *_, **__: 1 / 0)
    result = ddcore("distill", "toy/dots", *GIVEN)
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.output
