"""`ddcore cache`: what is kept, and what is removed."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from ddcore import load
from ddcore.cache import cache_folder, cached, remove
from ddcore.experts import Training, train_experts


@pytest.fixture
def experts():
    """Two experts of one network, one of another, used one, two and three days ago."""
    problem = load("toy/dots")
    train_experts(problem, 2, Training(epochs=2))
    train_experts(problem, 1, Training(epochs=2, rho=0.1), model="wide")
    manifests = sorted(cache_folder("experts").glob("*.json"), key=lambda f: json.loads(f.read_text())["model"])
    for days, manifest in enumerate(manifests, start=1):
        used(manifest, days)
    return [manifest.stem for manifest in manifests]


def used(manifest: Path, days: float) -> None:
    for file in manifest.parent.glob(f"{manifest.stem}.*"):
        os.utime(file, (time.time() - days * 86400 - 60,) * 2)


def keys():
    return {c.key for c in cached()}


def test_the_path(ok, tmp_path):
    assert ok("cache", "path").stdout.strip() == str(tmp_path / "cache")


def test_an_empty_cache(ok, as_json):
    assert "empty" in ok("cache", "list").stderr
    assert as_json("cache", "list") == []


def test_the_list(ok, as_json, experts):
    found = {record["key"]: record for record in as_json("cache", "list")}
    assert found.keys() == set(experts)
    record = found[experts[2]]
    assert (record["kind"], record["problem"], record["model"]) == ("experts", "toy/dots", "wide")
    assert record["what"] == "2 epochs, flat"
    assert record["bytes"] == sum(Path(file).stat().st_size for file in record["files"])
    assert 3 * 86400 <= record["age_seconds"] <= 3.1 * 86400
    shown = ok("cache", "list").stdout
    assert all(key[:12] in shown for key in experts)
    assert "3 d ago" in shown
    assert "3 results" in shown


def test_ceilings_are_listed_too(ok, as_json, distilled):
    ok("evaluate", distilled, "--seeds", 1, "--ceiling")
    (ceiling,) = as_json("cache", "list")
    assert (ceiling["kind"], ceiling["problem"], ceiling["model"]) == ("ceilings", "toy/dots", "narrow")
    assert ceiling["what"] == "toy@1 on test"
    ok("cache", "prune", ceiling["key"], "--yes")
    ok("evaluate", distilled, "--seeds", 1)
    assert len(as_json("cache", "list")) == 1, "computed again"


def test_what_is_unfinished_or_damaged_is_listed_too(as_json, documented):
    (cache_folder("experts") / "abc.partial").write_bytes(b"12345")
    (cache_folder("ceilings") / "def.json").write_text("[0.5]")
    (cache_folder("experts") / ".abc.partial.1234.new").write_bytes(b"123")
    found = as_json("cache", "list")
    assert [(r["kind"], r["key"], r["bytes"]) for r in found] == [("ceilings", "def", 5), ("experts", "abc", 8)]
    assert {r["what"] for r in found} == {"unfinished or damaged"}
    assert all(r.keys() == documented("cache list") for r in found)


def test_nothing_is_removed_without_yes(ok, experts):
    shown = ok("cache", "prune", "--older-than", 0).stdout
    assert "Would remove 3 results" in shown
    assert "--yes" in shown
    assert keys() == set(experts)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--older-than", 0], []),
        (["--older-than", 2], [0]),
        (["--older-than", 2.5], [0, 1]),
        (["--problem", "toy/dots"], []),
        (["--problem", "toy/filed"], [0, 1, 2]),
        (["--keep-under", "1GB"], [0, 1, 2]),
        (["--keep-under", "0"], []),
    ],
)
def test_what_is_removed(ok, experts, words, left):
    ok("cache", "prune", *words, "--yes")
    assert keys() == {experts[i] for i in left}
    assert {f.stem for f in cache_folder("experts").iterdir()} == keys(), "no file is left over"


def test_by_key_or_its_beginning(ok, experts):
    shown = ok("cache", "prune", experts[0], experts[1][:12], "--yes").stdout
    assert keys() == {experts[2]}
    assert "Removed 2 results" in shown
    assert "1 result (" in shown.rpartition(";")[2]


def test_room_is_made_from_what_was_not_used_for_longest(ok, experts):
    sizes = {c.key: c.bytes for c in cached()}
    ok("cache", "prune", "--keep-under", sizes[experts[0]] + sizes[experts[1]], "--yes")
    assert keys() == {experts[0], experts[1]}
    ok("cache", "prune", "--keep-under", f"{sizes[experts[0]] / 1000 + 0.001}kB", "--yes")
    assert keys() == {experts[0]}


def test_reading_an_expert_is_using_it(ok, experts):
    train_experts(load("toy/dots"), 1, Training(epochs=2, rho=0.1), model="wide")
    ok("cache", "prune", "--older-than", 0.5, "--yes")
    assert keys() == {experts[2]}


def test_what_was_removed_is_trained_again(ok, experts):
    ok("cache", "prune", "--older-than", 0, "--yes")
    train_experts(load("toy/dots"), 2, Training(epochs=2))
    assert keys() == set(experts[:2])


def test_json(as_json, experts):
    said = as_json("cache", "prune", experts[0])
    assert said["removed"] is False
    assert [r["key"] for r in said["results"]] == [experts[0]]
    assert as_json("cache", "prune", experts[0], "--yes")["removed"] is True
    assert keys() == set(experts[1:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say what: KEY, --problem"),
        (["--keep-under", "much"], "'much' is no size: such as 500MB"),
        (["--older-than", -1], "--older-than"),
        (["zzz"], "no.* key that starts with 'zzz'"),
    ],
)
def test_bad_input(refused, words, said, experts):
    assert re.search(said, " ".join(refused("cache", "prune", *words, "--yes").split()))
    assert keys() == set(experts)


def test_an_ambiguous_beginning_is_refused(refused):
    for key in ("abc1", "abc2"):
        (cache_folder("experts") / f"{key}.json").write_text("{}")
    assert "2 results" in refused("cache", "prune", "abc", "--yes")


def test_a_file_that_is_gone_already_is_no_error(experts):
    found = cached()
    found[0].files[0].unlink()
    remove(found)
    assert not cached()


def test_a_cache_that_cannot_be_made_is_named(refused, distilled, monkeypatch, tmp_path):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "a file" / "cache"))
    assert "set DDCORE_CACHE to a folder that can be written" in refused("evaluate", distilled, "--seeds", 1)


def test_help_teaches(ok):
    for words in (["cache"], ["cache", "prune"]):
        shown = ok(*words, "--help").stdout
        assert "--keep-under 2GB --yes" in shown
    assert "cache" in ok("--help").stdout
