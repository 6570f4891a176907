import importlib.util
import random
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

from ddcore import exporters
from ddcore import labels as kinds
from ddcore.artifact import Artifact
from ddcore.errors import ArtifactError, NotSupported, UnknownName
from ddcore.exporters import export
from ddcore.parametrizations import Synthetic
from ddcore.plugins import Entry, Plugins, hookimpl
from ddcore.problem import Output, Problem
from ddcore.recipes import Recipe
from ddcore.rows import Classification, RowData, Rows, RowSynthetic, TeacherLabels, row_set

COUNTS = {0: 2, 1: 3}
needs_datasets = pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="needs ddcore[hf]")


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 2)

    def forward(self, batch):
        return Output(self.head(batch.x.flatten(1)), batch.x.flatten(1))


def toy(shape) -> Problem:
    x = torch.randn(12, *shape, generator=torch.Generator().manual_seed(0))
    return Problem(
        name="toy/rows",
        data=RowData(x, torch.arange(12) % 2, {"train": range(10), "test": (10, 11)}),
        task=Classification(2),
        models={"linear": Linear},
        synthetic=row_set(shape),
        recipe=Recipe("matching@1"),
        class_names=("cat", "dog"),
    )


def artifact(shape=(1, 2, 3), labels=None, synthetic=None):
    problem = toy(shape)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    made = synthetic or RowSynthetic(COUNTS, x, labels)
    method = {"name": "dm", "preset": "quick", "options": {}, "paper": "Zhao and Bilen, WACV 2023"}
    return Artifact.of(problem, made, method=method, budget={"ipc": 2}, seed=0)


def test_pt_is_a_dict_of_the_stored_tensors(tmp_path):
    made = artifact()
    out = export(made, "pt", tmp_path / "set.pt")
    found = torch.load(out, weights_only=True)
    assert type(found) is dict
    torch.testing.assert_close(found, dict(made.tensors), rtol=0, atol=0)


def test_pt_has_the_same_bytes_under_any_name(tmp_path):
    a, b = (export(artifact(), "pt", tmp_path / name) for name in ("a.pt", "b.pt"))
    assert a.read_bytes() == b.read_bytes()


@needs_datasets
@pytest.mark.parametrize("shape", [(), (6,), (2, 3), (1, 2, 3), (1, 2, 3, 1)])
def test_a_hugging_face_table_holds_the_rows(tmp_path, shape):
    from datasets import load_from_disk

    made = artifact(shape)
    table = load_from_disk(str(export(made, "hf", tmp_path / "hf"))).with_format("torch")
    assert len(table) == 5
    assert table.features["y"].names == ["cat", "dog"]
    torch.testing.assert_close(table[:]["x"].reshape(5, *shape), made.tensors["x"], rtol=0, atol=0)
    assert torch.equal(table[:]["y"], made.tensors["y"])
    assert table.info.citation == "Zhao and Bilen, WACV 2023"


@needs_datasets
@pytest.mark.parametrize("kind", ["probabilities", "values", "per_epoch"])
def test_a_hugging_face_table_holds_soft_labels(tmp_path, kind):
    from datasets import load_from_disk

    y = torch.randn((4, 5, 2) if kind == "per_epoch" else (5, 2), generator=torch.Generator().manual_seed(2)).softmax(
        -1
    )
    table = load_from_disk(str(export(artifact(labels=getattr(kinds, kind)(y)), "hf", tmp_path / "hf")))
    found = table.with_format("torch")[:]["values" if kind == "values" else "y"]
    assert torch.equal(found, y.transpose(0, 1) if kind == "per_epoch" else y)


@needs_datasets
def test_learned_step_sizes_are_told_in_the_description(tmp_path):
    from datasets import load_from_disk

    x = torch.zeros(5, 6)
    made = artifact((6,), synthetic=RowSynthetic(COUNTS, x, step_size=0.25).learn_step_size())
    table = load_from_disk(str(export(made, "hf", tmp_path / "hf")))
    assert table.column_names == ["x", "y"]
    assert "Learned step sizes: 0.25." in table.info.description


@needs_datasets
def test_a_teacher_is_refused(tmp_path):
    teacher = toy((1, 2, 3)).new_model(random.Random(0))
    labels = TeacherLabels(teacher, "linear", torch.tensor([0, 0, 1, 1, 1]))
    with pytest.raises(NotSupported, match="export it to pt"):
        export(artifact(labels=labels), "hf", tmp_path / "hf")
    assert not list(tmp_path.iterdir())


class Halves(Synthetic[Rows]):
    """Each row is stored as one number and decoded to six."""

    parametrization = "toy/halves"

    def __init__(self, counts, codes):
        super().__init__(counts)
        self.codes = nn.Parameter(codes)

    def take(self, ids, rng=None):
        y = torch.tensor([g for g, n in self.counts.items() for _ in range(n)])
        return Rows(self.codes[list(ids), None] * torch.arange(6.0), y[list(ids)])

    def stored(self):
        return {"decoder.scale": torch.arange(6.0), "codes": self.codes.detach()}

    @classmethod
    def restore(cls, problem, config, tensors):
        return cls(dict(config["counts"]), tensors["codes"])


def to_names(artifact, problem, out):
    out.write_text(" ".join(artifact.manifest["class_names"]))
    return out


ddcore_api = 1  # this file is a plugin too


@hookimpl
def ddcore_entries():
    yield Entry("parametrization", "toy/halves", f"{__name__}:Halves", "Codes.")
    yield Entry("exporter", "toy/names", f"{__name__}:to_names", "Names.")


@pytest.fixture
def plugins(monkeypatch):
    known = Plugins([EntryPoint("toy", __name__, "ddcore")])
    monkeypatch.setattr("ddcore.exporters.installed", lambda: known)
    monkeypatch.setattr("ddcore.artifact.installed", lambda: known)


@needs_datasets
def test_codes_are_decoded_where_the_problem_is_given(tmp_path, plugins):
    from datasets import load_from_disk

    made = artifact((6,), synthetic=Halves(COUNTS, torch.arange(5.0)))
    with pytest.raises(ArtifactError, match="stored as toy/halves, not as rows: give the problem"):
        export(made, "hf", tmp_path / "hf")
    table = load_from_disk(str(export(made, "hf", tmp_path / "hf", toy((6,))))).with_format("torch")
    assert torch.equal(table[:]["x"], torch.outer(torch.arange(5.0), torch.arange(6.0)))


def test_a_bare_name_is_the_modalitys_own_first(tmp_path, plugins):
    assert export(artifact(), "names", tmp_path / "names.txt").read_text() == "cat dog"


def test_an_unknown_form_names_the_known_ones(tmp_path):
    with pytest.raises(UnknownName, match=r"no exporter 'pth'.*pt"):
        export(artifact(), "pth", tmp_path / "x")


@pytest.mark.parametrize("to", ["pt", "hf"])
def test_nothing_is_overwritten(tmp_path, to):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("x")
    for out in (tmp_path / "set", tmp_path / "set" / "mine"):
        with pytest.raises(ArtifactError, match="is there already"):
            export(artifact(), to, out)
    assert (tmp_path / "set" / "mine").read_text() == "x"


def test_without_datasets_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(NotSupported, match=r"pip install 'ddcore\[hf\]'"):
        export(artifact(), "hf", tmp_path / "hf")


def test_exporters_import_datasets_only_when_asked():
    code = "import ddcore.exporters, sys; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(exporters.__all__) == {"Exporter", "describe", "export", "exporter", "to_hf", "to_pt"}
