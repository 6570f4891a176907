"""A sweep in two processes gives the rows that one gives."""

import json

import pytest

SWEEP = """
problems = ["toy/filed"]
methods = ["dm"]
ipc = [1, 2]
distillations = 2
seeds = 2
steps = 3
[options."toy/filed"]
data = "dots.txt"
"""


@pytest.mark.parametrize("backend", ["loky", "ray"])
def test_two_processes_give_the_rows_of_one(process, as_json, tmp_path, backend):
    if backend == "ray":
        pytest.importorskip("ray", reason="Ray is not installed")
    lines = [f"{2 * (i % 2) - 1 + 0.01 * i} {0.02 * i} {i % 2}" for i in range(40)]
    (tmp_path / "dots.txt").write_text("\n".join(lines))
    (tmp_path / "sweep.toml").write_text(SWEEP)
    done = process("compare", "sweep.toml", "--out", "table-2", "--jobs", 2, "--backend", backend, "--json")
    assert done.returncode == 0, done.stderr
    assert "reading " in done.stderr, "what each process prints goes where it does no harm"
    found = [as_json("compare", "sweep.toml", "--out", "table-1"), json.loads(done.stdout)]
    assert all(row.pop("seconds") is not None for rows in found for row in rows)
    assert found[0] == found[1]
    sets = [{f.parent.name: f.read_bytes() for f in tmp_path.glob(f"table-{j}/**/data.safetensors")} for j in (1, 2)]
    assert len(sets[0]) == 8
    assert sets[0] == sets[1]
