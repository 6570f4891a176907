import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ddcore.errors import PluginConflictError, PluginLoadError, UnknownName
from ddcore.plugins import API, Entry, Plugins, installed

Make = Callable[..., Plugins]
Install = Callable[..., Path]

FAULTS = {
    "broken": "ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
    "exits": "SystemExit: no licence found",
    "typo": "unknown hook 'ddcore_entrys'",
    "raises": "RuntimeError: the index file is gone",
    "argument": "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
    "newer": f"made for plugin API 99, and this ddcore has {API}: upgrade ddcore",
    "silent": f"it does not say which plugin API it is made for: add `ddcore_api = {API}`",
    "bare": "it provides nothing: write `@hookimpl def ddcore_entries()`",
    "strings": "must yield Entry records, got str",
    "kind": "has kind 'dataset'; the kinds are problem, method,",
    "twice": "yields the problem 'twice/dots' twice",
}


def names(plugins: Plugins) -> list[str]:
    return [entry.name for entry in plugins.entries()]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_plugin_is_reported_and_the_others_go_on(fault: str, plugins: Make):
    found = plugins("good", fault)
    status = {p.name: p.status for p in found.plugins}
    assert FAULTS[fault] in status.pop(fault)
    assert status == {"core": "ok", "good": "ok"}
    assert "toy/dots" in names(found)
    assert not [n for n in names(found) if n.startswith(fault)]
    with pytest.raises(PluginLoadError, match=f"'{fault}/dots' belongs to ddcore-{fault}, which did not load: "):
        found.find("problem", f"{fault}/dots")


def test_all_of_them_at_once(plugins: Make):
    found = plugins("good", *FAULTS)
    assert {p.name for p in found.plugins if not p.error} == {"core", "good"}


def test_plugins_say_which_distribution_they_are_of(plugins: Make):
    core, good = plugins("good").plugins
    assert (core.name, core.distribution) == ("core", "ddcore")
    assert (good.name, good.distribution, good.version) == ("good", "ddcore-good", "1.0")
    assert {e.modality for e in good.entries} == {"toy"}


def test_an_equal_full_name_is_an_error_for_whoever_asks_for_it_and_for_no_one_else(plugins: Make):
    found = plugins("good", "twin")
    for kind, name, owners in (("problem", "toy/dots", "ddcore-good and ddcore-twin"), ("method", "dm", "ddcore and ")):
        with pytest.raises(
            PluginConflictError, match=f"^{owners}.*both provide the {kind} '{name}': uninstall one"
        ) as e:
            found.find(kind, name)
        assert found.conflicts[kind, name] == str(e.value)
        assert "DDCORE_BLOCK_PLUGINS=ddcore-twin" in str(e.value)
        assert "DDCORE_BLOCK_PLUGINS=ddcore or" not in str(e.value)
    assert [p.status for p in found.plugins] == ["ok"] * 3
    assert "toy/dots" not in names(found)
    assert found.find("problem", "twin/own").name == "twin/own"
    assert found.find("method", "dm", "toy").name == "toy/dm"


def test_blocking_one_of_two_settles_a_conflict(plugins: Make):
    assert plugins("good", "twin", block=["ddcore-twin"]).find("problem", "toy/dots").summary == "Two clouds of dots."


@pytest.mark.parametrize("spelling", ["good", "ddcore-good", "ddcore_good", "Ddcore-Good", "*"])
def test_a_blocked_plugin_is_shown_as_blocked(spelling: str, plugins: Make):
    found = plugins("good", block=[spelling])
    assert [p.status for p in found.plugins] == ["ok", "blocked by DDCORE_BLOCK_PLUGINS"]
    assert "good_plugin" not in sys.modules
    assert found.find("method", "dm").name == "dm"


def test_the_allow_list_leaves_the_others_out(plugins: Make):
    found = plugins("good", "twin", "broken", only=["twin"])
    assert {p.name: p.status for p in found.plugins} == {
        "core": "ok",
        "good": "not in DDCORE_LOAD_PLUGINS",
        "broken": "not in DDCORE_LOAD_PLUGINS",
        "twin": "ok",
    }


def test_a_bare_name_is_the_modalitys_first_and_then_the_cores(plugins: Make):
    found = plugins("good")
    assert found.find("method", "dm", "toy").name == "toy/dm"
    assert found.find("method", "dc", "toy").name == "dc"
    assert found.find("method", "dm").name == found.find("method", "dm", "other").name == "dm"
    assert found.find("method", "toy/dm", "other").name == "toy/dm"
    assert found.find("method", "toy/dm").load().name == "toy/dm"


def test_an_unknown_name_answers_with_close_matches_or_the_pip_line(plugins: Make):
    found = plugins("good")
    with pytest.raises(UnknownName, match=r"no problem 'toy/dost'\. Did you mean toy/dots.*Valid choices:.*toy/nan"):
        found.find("problem", "toy/dost")
    with pytest.raises(UnknownName, match=r"no problem 'dots'\. Did you mean toy/dots"):
        found.find("problem", "dots")
    with pytest.raises(UnknownName, match="no problem 'graph/cora' is installed: pip install ddcore-graph"):
        found.find("problem", "graph/cora")
    with pytest.raises(UnknownName) as e:
        found.find("method", "dn", "image")
    assert "Did you mean" in str(e.value)
    assert "toy/dm" not in str(e.value), "another modality's methods are no choice here"


def test_a_target_that_is_not_there_is_the_plugins_error(plugins: Make):
    with pytest.raises(
        PluginLoadError, match="'toy/missing' could not be loaded from good_problems:missing: AttributeError"
    ):
        plugins("good").find("problem", "toy/missing").load()


def test_a_target_that_ends_the_interpreter_or_is_no_method_is_the_plugins_error(plugins: Make):
    found = plugins("good", "exits")
    with pytest.raises(PluginLoadError, match=r"'toy/exits' could not be loaded .*SystemExit: no licence found"):
        found.find("method", "toy/exits").load()
    with pytest.raises(PluginLoadError, match="good_problems:TEXT is of type str, and 'toy/text' needs a Method"):
        found.find("method", "toy/text").load()


def test_entries_are_checked_when_they_are_made():
    with pytest.raises(ValueError, match=r"expected 'package\.module:attribute'"):
        Entry("method", "toy/dm", "package.module", "")
    with pytest.raises(ValueError, match="expected 'modality/dots'"):
        Entry("problem", "dots", "package:dots", "")


def run(code: str, site: Path, **environment: str) -> str:
    path = os.pathsep.join([str(site), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_the_environment_blocks_and_allows(install: Install):
    site = install("good", "twin")
    code = "from ddcore.plugins import installed; print(*[p.name for p in installed().plugins if not p.error])"
    assert set(run(code, site).split()) >= {"core", "good", "twin"}
    assert run(code, site, DDCORE_BLOCK_PLUGINS="*") == "core"
    assert "twin" not in run(code, site, DDCORE_BLOCK_PLUGINS="nothing, twin").split()
    assert run(code, site, DDCORE_LOAD_PLUGINS="ddcore-twin") == "core twin"


HEAVY = "{'torch', 'numpy', 'pydantic', 'safetensors', 'joblib', 'transformers', 'torch_geometric', 'datasets'}"


def test_asking_what_is_installed_imports_nothing_heavy(install: Install):
    site = install("good", "twin", "typo")
    code = f"import sys; from ddcore.plugins import installed; installed(); print(sorted({HEAVY} & set(sys.modules)))"
    assert run(code, site) == "[]"


def test_each_entry_module_of_this_project_imports_nothing_heavy(site: Path):
    for point in entry_points(group="ddcore"):
        if point.dist and point.dist.name.startswith("ddcore-"):
            code = f"import sys, {point.module}; print(sorted({HEAVY} & set(sys.modules)))"
            assert run(code, site) == "[]", point.module


def test_what_is_installed_is_found_once(install: Install):
    install("good")
    assert installed() is installed()
    assert installed().find("problem", "toy/dots").offline
