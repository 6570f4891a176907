"""plugins, problems and methods: what later work reads from them, and that they answer without torch."""

import json
import subprocess
import sys

import pytest


def test_plugins(as_json):
    found = {record["name"]: record for record in as_json("plugins")}
    core, toy = found["core"], found["toy"]
    assert {"name", "summary", "distribution", "version", "status", "entries"} <= core.keys()
    assert (core["name"], core["status"]) == ("core", "ok")
    assert (toy["name"], toy["distribution"], toy["version"], toy["status"]) == ("toy", "ddcore-toy", "1.0", "ok")
    assert [e["name"] for e in toy["entries"]] == ["toy/dots", "toy/filed"]


def test_a_plugin_that_fails_is_listed_with_the_reason(as_json, ok, site, monkeypatch, tmp_path):
    info = tmp_path / "ddcore_lost-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ddcore-lost\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[ddcore]\nlost = no_such_module_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DDCORE_LOAD_PLUGINS", "toy,lost")
    lost = next(p for p in as_json("plugins") if p["name"] == "lost")
    assert "no_such_module_here" in lost["status"]
    assert lost["entries"] == []
    shown = ok("plugins").stdout
    assert "not loaded" in shown
    assert "no_such_module_here" in "".join(shown.split())


def test_problems(as_json):
    dots, filed = as_json("problems")
    assert dots == {
        "name": "toy/dots",
        "summary": "Two clouds of dots.",
        "modality": "toy",
        "offline": True,
        "default": True,
    }
    assert (filed["offline"], filed["default"]) == (False, False)


def test_a_problem(as_json, ok):
    described = as_json("problems", "toy/filed")
    assert described["name"] == "toy/filed"
    assert described["data"] is True
    assert [(o["name"], o["default"]) for o in described["options"]] == [("skip", 0)]
    assert "problem.skip" in ok("problems", "toy/filed").stdout


def test_methods(as_json):
    found = {record["name"]: record for record in as_json("methods")}
    assert {"dm", "dc", "dsa", "random", "herding", "k-center", "k-means"} <= found.keys()
    for record in found.values():
        assert all(record[key] for key in ("name", "summary", "family", "paper"))
        assert isinstance(record["needs"], list)
    assert found["dm"]["family"] == "distribution matching"
    assert "WACV 2023" in found["dm"]["paper"]
    assert found["herding"]["needs"] == ["network"]


def test_the_keys_are_those_of_the_page(as_json, documented):
    for command in ("plugins", "problems", "methods"):
        assert all(record.keys() == documented(command) for record in as_json(command)), command
    assert as_json("problems", "toy/dots").keys() == documented("problems NAME")
    assert as_json("methods", "dm").keys() == documented("methods NAME")
    assert as_json("cache", "prune", "--older-than", "0").keys() == documented("cache prune")


def test_a_method(as_json, ok):
    described = as_json("methods", "dm")
    options = {o["name"]: o for o in described["options"]}
    assert options["steps"]["default"] == 20_000
    assert options["lr"]["description"]
    assert set(described["presets"]) == {"quick", "paper"}
    shown = ok("methods", "dm").stdout
    assert all(text in shown for text in ("WACV 2023", "--preset paper", "20000", "number > 0"))


@pytest.mark.parametrize("words", [["plugins"], ["problems"], ["methods"], ["methods", "dm"]])
def test_json_is_alone_on_stdout_and_a_faulty_entry_costs_itself_alone(ddcore, faulty, words):
    result = ddcore(*words, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert "faulty_plugin is imported\nfaulty_plugin is asked\n" in result.stderr
    if words == ["methods"]:
        assert "dm" in [record["name"] for record in found]
        assert "faulty_things is imported" in result.stderr
        left_out = [line for line in result.stderr.splitlines() if line.startswith("left out: ")]
        assert ["needs a Method" in line for line in left_out] == [True, False]
        assert "SystemExit" in left_out[1]


@pytest.mark.parametrize(
    "command", [("plugins",), ("problems",), ("methods",), ("methods", "dm"), ("problems", "toy/filed")]
)
def test_tables_fit_80_columns(ok, command):
    assert all(len(line) <= 80 for line in ok(*command).stdout.splitlines())


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["plugins"], ["torch", "numpy", "pydantic", "rich", "toy_problems"]),
        (["--help"], ["torch", "numpy", "pydantic", "rich"]),
        (["problems"], ["torch", "numpy", "pydantic", "rich", "toy_problems"]),
        (["methods"], ["torch", "numpy", "rich"]),
        (["methods", "dm", "--json"], ["torch", "numpy", "rich"]),
    ],
)
def test_lists_import_nothing_heavy(words, heavy):
    code = "import sys; from ddcore.cli import main; main(sys.argv[2:], standalone_mode=False); "
    code += "print([m for m in sys.argv[1].split(',') if m in sys.modules], file=sys.stderr)"
    command = [sys.executable, "-c", code, ",".join(heavy), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_module_is_the_same_command(process, ok):
    done = process("plugins", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(ok("plugins", "--json").stdout)


def test_no_command_shows_where_to_start(process):
    done = process()
    assert done.returncode == 0
    assert "Start here" in done.stdout
    assert "ddcore distill image/digits --method dm --ipc 10" in done.stdout


@pytest.mark.parametrize(
    "name", ["distill", "evaluate", "compare", "show", "estimate", "export", "plugins", "problems", "methods"]
)
def test_help_has_an_example(ok, name):
    shown = ok(name, "--help").stdout
    assert "Example" in shown
    assert f"ddcore {name}" in shown.partition("Example")[2]
