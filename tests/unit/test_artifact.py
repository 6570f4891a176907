import errno
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import ddcore
from ddcore import labels as kinds
from ddcore.artifact import Artifact
from ddcore.errors import ArtifactError
from ddcore.parametrizations import Selected
from ddcore.problem import Output, Preprocessing, Problem, tensors
from ddcore.recipes import Recipe
from ddcore.rows import Classification, RowData, RowSynthetic, TeacherLabels, row_set
from ddcore.splits import stratified_split

CLASSES, WIDTH = 3, 8
COUNTS = dict.fromkeys(range(CLASSES), 4)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(WIDTH, 16), nn.Linear(16, CLASSES)

    def forward(self, batch):
        features = self.body(batch.x).relu()
        return Output(self.head(features), features)


def dot(synthetic, folder):
    (folder / "gallery.svg").write_text(f"<svg>{synthetic.batch().x.sum():.6f}</svg>")
    return folder / "gallery.svg"


def toy(*, shift=0.0, **changes) -> Problem:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(90) % CLASSES
    centres = 3 * torch.randn(CLASSES, WIDTH, generator=generator)
    raw = centres[y] + torch.randn(90, WIDTH, generator=generator) + shift
    mean, std = raw.mean(0), raw.std(0)
    problem = Problem(
        name="toy/rows",
        data=RowData((raw - mean) / std, y, stratified_split(y.tolist()), drawn=True),
        task=Classification(CLASSES),
        models={"mlp": MLP},
        synthetic=row_set((WIDTH,)),
        recipe=Recipe("matching@1"),
        preprocessing=Preprocessing("normalise", "x * std + mean", {"mean": mean, "std": std}),
        class_names=("a", "b", "c|d"),
        render=dot,
        options={"width": WIDTH, "file": Path("/somewhere/rows.csv")},
    )
    return replace(problem, **changes)


def noise(seed=0, labels=None):
    x = torch.randn(sum(COUNTS.values()), WIDTH, generator=torch.Generator().manual_seed(seed))
    return RowSynthetic(COUNTS, x, labels)


def artifact(problem=None, synthetic=None, history=({"loss": 0.1}, {"loss": math.nan, "skipped": 1.0})):
    problem = problem or toy()
    return Artifact.of(
        problem,
        synthetic or noise(),
        method={"name": "dm", "preset": "quick", "options": {"lr": 1.0}, "paper": "Zhao and Bilen, WACV 2023"},
        budget={"ipc": 4},
        seed=3,
        history=history,
    )


def digest(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def soft(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).softmax(-1)


def sets():
    n = sum(COUNTS.values())
    problem = toy()
    teacher = problem.new_model(random.Random(1))
    return {
        "ids": noise(),
        "soft": noise(labels=kinds.probabilities(soft(n, CLASSES))),
        "learned soft": noise(labels=kinds.probabilities(soft(n, CLASSES), learn=True)),
        "values": noise(labels=kinds.values(soft(n, CLASSES) - 0.5)),
        "per-epoch": noise(labels=kinds.per_epoch(soft(5, n, CLASSES))),
        "teacher": noise(labels=TeacherLabels(teacher, "mlp", torch.arange(CLASSES).repeat_interleave(4), 2.0)),
        "step size": noise().learn_step_size(),
        "selected": Selected.random(problem.data, COUNTS, random.Random(0)),
    }


@pytest.mark.parametrize("name", sets())
def test_every_kind_of_set_comes_back_bit_for_bit(tmp_path, name):
    problem, before = toy(), sets()[name]
    artifact(problem, before).save(tmp_path / "set")
    after = ddcore.open(tmp_path / "set").synthetic(problem)
    assert type(after) is type(before)
    assert (after.counts, after.label_kind, after.train_steps) == (before.counts, before.label_kind, before.train_steps)
    for t in (0, 7):
        pairs = [(before.train_batch(problem, t, 5, 6), after.train_batch(problem, t, 5, 6))]
        for (a, step_a), (b, step_b) in pairs:
            torch.testing.assert_close(dict(tensors(a)), dict(tensors(b)), rtol=0, atol=0)
            assert torch.equal(step_a, step_b)
    torch.testing.assert_close(dict(tensors(before.batch())), dict(tensors(after.batch())), rtol=0, atol=0)


def test_what_was_saved_is_what_is_opened(tmp_path):
    made = artifact()
    saved = made.save(tmp_path / "set", run="seed = 3\n", cost={"seconds": 1.5})
    found = ddcore.open(tmp_path / "set")
    assert found.manifest == saved.manifest
    assert found.path == saved.path == tmp_path / "set"
    torch.testing.assert_close(found.tensors, dict(made.tensors), rtol=0, atol=0)
    torch.testing.assert_close(found.preprocessing.tensors, dict(made.preprocessing.tensors), rtol=0, atol=0)
    assert {k: v.tolist() for k, v in found.split.items()} == toy().data.split
    assert found.history[0] == {"step": 0, "loss": 0.1}
    assert math.isnan(found.history[1]["loss"])
    assert found.notes == {"run.toml": "seed = 3\n", "cost.json": '{\n "seconds": 1.5\n}\n'}
    assert repr(found).startswith("Artifact(toy/rows, dm, 12 rows in 3 groups, 480 bytes, '")


def test_the_manifest_says_what_the_set_is(tmp_path):
    problem = toy()
    artifact(problem, noise().learn_step_size()).save(tmp_path / "set")
    text = (tmp_path / "set" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert text == json.dumps(manifest, sort_keys=True, indent=1) + "\n"
    assert manifest["format"] == 1
    assert manifest["problem"] == {
        "name": "toy/rows",
        "options": {"width": WIDTH, "file": "rows.csv"},
        "fingerprint": problem.fingerprint(),
    }
    assert manifest["counts"] == {"0": 4, "1": 4, "2": 4}
    rows = 12 * WIDTH * 4
    assert manifest["bytes"] == {"data": rows, "labels": 12 * 8, "step sizes": 4, "total": rows + 12 * 8 + 4}
    assert manifest["step_sizes"] == pytest.approx([0.01])
    assert manifest["budget"] == {"ipc": 4}
    assert manifest["ratios"] == {"labelled": 12 / 72, "all": 12 / 90}
    assert manifest["versions"]["torch"] == torch.__version__
    for name, expected in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "set" / name).read_bytes()).hexdigest() == expected
    assert set(manifest["files"]) | {"manifest.json"} == {p.name for p in (tmp_path / "set").iterdir()}


def test_bytes_count_the_teacher(tmp_path):
    weights = sum(p.numel() for p in MLP().parameters()) * 4
    made = artifact(toy(), sets()["teacher"])
    assert made.manifest["bytes"]["teacher"] == weights
    assert made.bytes == weights + 12 * WIDTH * 4 + 12 * 8


def test_the_same_run_gives_the_same_bytes_and_so_does_a_copy(tmp_path):
    for name in ("a", "b"):
        artifact().save(tmp_path / name)
    ddcore.open(tmp_path / "a").save(tmp_path / "c")
    assert digest(tmp_path / "a") == digest(tmp_path / "b") == digest(tmp_path / "c")
    artifact(synthetic=noise(1)).save(tmp_path / "d")
    assert digest(tmp_path / "a") != digest(tmp_path / "d")


def test_no_place_or_time_is_written(tmp_path):
    artifact().save(tmp_path / "set")
    for file in (tmp_path / "set").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
        assert b"/somewhere" not in file.read_bytes()


# ---------------------------------------------------------------------------------------------------------------------
# damage

FILES = "README.md data.safetensors gallery.svg history.jsonl manifest.json preprocessing.safetensors split.safetensors"


@pytest.fixture
def saved(tmp_path):
    artifact().save(tmp_path / "set")
    return tmp_path / "set"


def test_those_are_all_files(saved):
    assert sorted(p.name for p in saved.iterdir()) == FILES.split()


@pytest.mark.parametrize("name", FILES.split())
@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_a_damaged_file_is_named(saved, name, damage):
    whole = (saved / name).read_bytes()
    middle = len(whole) // 2
    bit = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    (saved / name).write_bytes({"bit": bit, "cut": whole[:-9], "empty": b""}[damage])
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} in .* is cut short or altered.*again, or distil anew"):
        ddcore.open(saved)


@pytest.mark.parametrize("name", FILES.split())
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=re.escape(name)):
        ddcore.open(saved)


def test_a_changed_manifest_is_told(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["seed"] = 4
    (saved / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, indent=1))
    with pytest.raises(ArtifactError, match=r"manifest\.json in .* altered"):
        ddcore.open(saved)


def test_a_newer_format_says_which_version_reads_it(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    newer = {"format": 2, "versions": {**manifest["versions"], "ddcore": "7.1.0"}, "what": "is not known yet"}
    (saved / "manifest.json").write_text(json.dumps(newer))
    with pytest.raises(ArtifactError, match=r"format 2, written by ddcore 7\.1\.0.*pip install 'ddcore>=7\.1\.0'"):
        ddcore.open(saved)


def test_a_pointer_of_git_lfs_is_told(saved):
    (saved / "data.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ArtifactError, match="git lfs pull"):
        ddcore.open(saved)


def test_a_folder_that_is_no_artifact_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="no such folder"):
        ddcore.open(tmp_path / "none")
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        ddcore.open(tmp_path)


def test_notes_may_change(saved):
    (saved / "run.toml").write_text("seed = 9\n")
    (saved / "scores.json").write_text("{}")
    assert ddcore.open(saved).notes == {"run.toml": "seed = 9\n", "scores.json": "{}"}


# ---------------------------------------------------------------------------------------------------------------------
# saving over


def test_nothing_is_overwritten_unasked(saved):
    before = digest(saved)
    with pytest.raises(ArtifactError, match="holds a distilled set already"):
        artifact(synthetic=noise(1)).save(saved)
    assert digest(saved) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ArtifactError, match=r"holds something else \(thesis\.tex\)"):
        artifact().save(tmp_path, overwrite=overwrite)
    with pytest.raises(ArtifactError, match="is a file"):
        artifact().save(tmp_path / "thesis.tex", overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "set").mkdir()
    artifact().save(tmp_path / "set")
    ddcore.open(tmp_path / "set")


def test_overwriting_replaces_what_is_an_artifacts_and_keeps_the_rest(saved):
    (saved / "scores.json").write_text("{}")
    (saved / ".git").mkdir()
    (saved / ".git" / "HEAD").write_text("main")
    artifact(toy(render=None), noise(1), history=()).save(saved, overwrite=True)
    left = {"README.md", "data.safetensors", "manifest.json", "preprocessing.safetensors", "split.safetensors", ".git"}
    assert {p.name for p in saved.iterdir()} == left
    assert (saved / ".git" / "HEAD").read_text() == "main"
    assert [p.name for p in saved.parent.iterdir()] == ["set"]
    ddcore.open(saved)


def test_a_damaged_artifact_can_be_overwritten(saved):
    (saved / "manifest.json").write_text("{")
    artifact().save(saved, overwrite=True)
    ddcore.open(saved)


@pytest.mark.parametrize("where", ["write_bytes", "replace"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_leaves_the_old_set_and_nothing_half_written(saved, monkeypatch, where, call):
    before, calls = digest(saved), iter(range(1, 100))
    owner = {"write_bytes": Path, "replace": os}[where]
    really = getattr(owner, where)

    def full(*args):
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(*args)

    monkeypatch.setattr(owner, where, full)
    if where == "replace" and call == 3:  # two renames are all there are
        artifact(synthetic=noise(1)).save(saved, overwrite=True)
        return
    with pytest.raises(ArtifactError, match="no space is left on the disk"):
        artifact(synthetic=noise(1)).save(saved, overwrite=True)
    assert [p.name for p in saved.parent.iterdir()] == ["set"]
    assert digest(saved) == before


# ---------------------------------------------------------------------------------------------------------------------
# other problems


def test_another_input_space_is_refused_by_name(saved):
    with pytest.raises(ArtifactError, match=r"'raw', and toy/rows reads 'glove'"):
        ddcore.open(saved).synthetic(toy(input_space="glove"))


def test_other_classes_are_refused(saved):
    with pytest.raises(ArtifactError, match="has 3 classes and toy/rows has 2"):
        ddcore.open(saved).synthetic(toy(class_names=("a", "b")))
    y = torch.arange(20) % 2
    fewer = RowData(torch.randn(20, WIDTH), y, stratified_split(y.tolist()))
    with pytest.raises(ArtifactError, match="rows of class 2, which toy/rows has not"):
        ddcore.open(saved).synthetic(toy(data=fewer))


def test_a_selection_is_refused_on_other_data(tmp_path):
    artifact(toy(), sets()["selected"]).save(tmp_path / "set")
    y = torch.arange(90) % CLASSES
    other = RowData(torch.randn(90, WIDTH), y, stratified_split(y.tolist()))
    with pytest.raises(ArtifactError, match="has other rows there"):
        ddcore.open(tmp_path / "set").synthetic(toy(data=other))
    few = RowData(torch.randn(9, WIDTH), torch.arange(9) % CLASSES, {"train": range(9)})
    with pytest.raises(ArtifactError, match="does not fit toy/rows as it was loaded"):
        ddcore.open(tmp_path / "set").synthetic(toy(data=few))


def test_another_network_under_the_teachers_name_is_refused(tmp_path):
    artifact(toy(), sets()["teacher"]).save(tmp_path / "set")
    with pytest.raises(ArtifactError, match="does not fit"):
        ddcore.open(tmp_path / "set").synthetic(toy(models={"mlp": lambda: nn.Linear(2, 2)}))


def test_a_set_in_memory_is_apart_from_the_artifact():
    made = artifact()
    with torch.no_grad():
        made.synthetic(toy()).x.zero_()
    assert made.tensors["x"].abs().sum() > 0


def test_what_a_set_is_like_is_kept_in_numbers(tmp_path):
    def measured(synthetic):
        return {"mean": synthetic.batch().x.mean().item(), "spread": float("nan")}

    made = artifact(toy(properties=measured)).save(tmp_path / "set")
    assert ddcore.open(tmp_path / "set").manifest["properties"] == {"mean": float(made.tensors["x"].mean())}
    assert f"| Properties | mean {float(made.tensors['x'].mean()):.4g} |" in (tmp_path / "set/README.md").read_text()

    def broken(synthetic):
        raise ZeroDivisionError("no rows")

    with pytest.warns(UserWarning, match="toy/rows could not measure the set: ZeroDivisionError: no rows"):
        assert artifact(toy(properties=broken)).manifest["properties"] == {}


def test_a_picture_that_fails_costs_the_picture_only(tmp_path):
    def broken(synthetic, folder):
        raise ImportError("no matplotlib")

    with pytest.warns(UserWarning, match=r"toy/rows could not draw the set: ImportError: no matplotlib"):
        made = artifact(toy(render=broken))
    assert made.manifest["picture"] is None
    made.save(tmp_path / "set")
    assert "![" not in (tmp_path / "set" / "README.md").read_text()


# ---------------------------------------------------------------------------------------------------------------------
# the card, without ddcore


def blocks(folder):
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)


def run_without_ddcore(folder, code):
    blocked = "import sys\nsys.modules['ddcore'] = None\n"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_five_lines_of_the_card_load_a_set_that_trains_above_random(tmp_path):
    problem = toy()
    start = Selected.random(problem.data, COUNTS, random.Random(0)).batch()
    artifact(problem, RowSynthetic(COUNTS, start.x)).save(tmp_path / "set")
    held_out = problem.data.take(problem.data.ids(split="test"))
    save_file({"x": held_out.x, "y": held_out.y}, tmp_path / "test.safetensors")
    load, _ = blocks(tmp_path / "set")
    assert len(load.splitlines()) == 5
    train = """
import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for _ in range(100):
    opt.zero_grad()
    torch.nn.functional.cross_entropy(net(x), y).backward()
    opt.step()
test = load_file("../test.safetensors")
print((net(test["x"]).argmax(1) == test["y"]).float().mean().item())
"""
    assert float(run_without_ddcore(tmp_path / "set", load + train)) > 0.8  # random: a third


def test_the_cards_code_runs_for_every_kind_of_set(tmp_path):
    code = "import os\n"
    for name, synthetic in sets().items():
        artifact(toy(), synthetic).save(tmp_path / name)
        card = "".join(blocks(tmp_path / name)) + "print(tuple(x.shape))\n"
        code += f"os.chdir({str(tmp_path / name)!r})\nexec({card!r}, {{}})\n"
    assert run_without_ddcore(tmp_path, code) == "(12, 8)\n" * len(sets())


def test_the_cards_inverse_gives_the_raw_rows(tmp_path, monkeypatch):
    problem = toy()
    artifact(problem, sets()["selected"]).save(tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    found = {}
    exec("".join(blocks(tmp_path / "set")), found)
    done = problem.preprocessing.tensors
    x = problem.data.take(sets()["selected"].chosen).x
    torch.testing.assert_close(found["raw"], x * done["std"] + done["mean"])


def test_the_cards_front_matter_is_yaml_that_the_hub_reads(saved):
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with datasets (ddcore[hf])")
    text = (saved / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pretty_name"] == "toy/rows distilled by dm"
    assert {"dataset-distillation", "toy", "dm"} <= set(front["tags"])
    assert front["size_categories"] == ["n<1K"]
    assert "![The distilled set](gallery.svg)" in text
    assert "Zhao and Bilen, WACV 2023" in text
    assert r"a, b, c\|d" in text
