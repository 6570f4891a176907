"""The reader of the offline default, on code that is written here."""

from __future__ import annotations

import ast
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from ddcore_recommender import imports as reader
from ddcore_recommender.ctr import import_clicks
from ddcore_recommender.problems import imports
from ddcore_recommender.sequential import import_order

NAMES = [f"m{i % 3}.name{i:02}" for i in range(24)]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import x, x.y as z", ["x", "x.y"]),
        ("from z import *", ["z"]),
        ("from . import c", ["a.b.c"]),
        ("from .c import d", ["a.b.c.d"]),
        ("from ..d import e as f", ["a.d.e"]),
        ("from .. import e", ["a.e"]),
        ("import y\nfrom x import b, a\nimport y", ["y", "x.b", "x.a"]),
        ("try:\n import x\nexcept OSError:\n import y\nelse:\n import z\nfinally:\n import w", ["x", "z", "w", "y"]),
        ("def f():\n  if 1:\n    import x\n  elif 2:\n    import y\nclass A:\n  with f(): import z", ["x", "y", "z"]),
        ("match x:\n case 1:\n  import y", ["y"]),
        ("x = 'import y'", []),
    ],
)
def test_names_are_resolved_and_come_once_each_in_order(code, names):
    assert reader.imported_names(ast.parse(code), ["a", "b"]) == names


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Two code bases of 15 files, a folder each, that import 10 of the 24 names in an order of their own."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    g = np.random.default_rng(0)
    orders = {}
    for base in ("python", "numpy"):
        for n in range(15):
            inside = f"part{n % 3}/folder{n:02}/file.py"
            file = tmp_path / base / inside
            file.parent.mkdir(parents=True, exist_ok=True)
            names = g.permutation(NAMES)[:10].tolist()
            file.write_text("".join(f"from {a} import {b}\n" for a, b in (name.split(".") for name in names)))
            orders[("numpy." if base == "numpy" else "") + inside[:-3].replace("/", ".")] = names
    versions = {"python": "3.99", "numpy": "9.9"}

    def sources():
        return [("" if b == "python" else b, v, tmp_path / b) for b, v in versions.items()]

    monkeypatch.setattr(reader, "sources", sources)
    return tmp_path, versions, orders


def test_the_installed_code_is_read_under_its_versions():
    found = {name: (version, folder) for name, version, folder in reader.sources()}
    assert {name: version for name, (version, _) in found.items()} == {
        "": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
    }
    for module, name in ((ast, ""), (np, "numpy"), (torch, "torch")):
        assert Path(module.__file__).is_relative_to(found[name][1])


def test_files_are_users_and_names_items_in_the_order_of_the_file(written):
    folder, _, orders = written
    (folder / "python" / "tests").mkdir()
    (folder / "python" / "tests" / "left_out.py").write_text("import x")
    (folder / "python" / "part0" / "torn.py").write_text("import (")
    table, what = reader.read_imports()
    assert what == "python 3.99 (16 files), numpy 9.9 (15 files)"
    found = {}
    for line in np.argsort(table.time):
        found.setdefault(table.users[table.user[line]], []).append(table.items[table.item[line]])
    assert found == orders


def test_versions_and_counts_are_in_the_fingerprint_and_what_was_read_is_kept(written, monkeypatch):
    first = imports(core_size=3)
    assert first.preprocessing.name == "python 3.99 (15 files), numpy 9.9 (15 files)"
    with monkeypatch.context() as patch:
        patch.setattr(reader, "_read", lambda *args: pytest.fail("it was read before"))
        assert imports(core_size=3).fingerprint() == first.fingerprint()
    written[1]["numpy"] = "9.10"
    newer = imports(core_size=3)
    assert np.array_equal(newer.data.train.toarray(), first.data.train.toarray())
    assert newer.fingerprint() != first.fingerprint()


def test_the_last_name_of_a_file_is_test(written):
    problem = import_order(core_size=3, length=4)
    data, orders = problem.data, written[2]
    for user, (_, val, test) in zip(data.users, data.parts, strict=True):
        assert [data.items[i - 1] for i in (*val, *test)] == orders[user][-2:]


def test_clicks_are_the_imports_and_the_others_pairs_that_are_none(written):
    data, orders = import_clicks().data, written[2]
    folders, names = sorted(user.removesuffix(".file") for user in orders), sorted(NAMES)
    real = [(folders.index(user.removesuffix(".file")), names.index(i)) for user, of in orders.items() for i in of]
    clicked = data.rows.y == 1
    pairs = list(map(tuple, data.x[:, [0, 2]].tolist()))
    assert sorted(pair for pair, y in zip(pairs, clicked, strict=True) if y) == sorted(real)
    others = [pair for pair, y in zip(pairs, clicked, strict=True) if not y]
    assert len(others) == len(real)
    assert not set(others) & set(real)
    assert data.sizes == (30, 4, 24, 3)  # part0 to part2 and numpy; m0 to m2
    assert all(int(names[i][1]) == m for i, m in data.x[:, 2:].tolist())
