"""Sets made elsewhere, in the layouts that the papers' code writes."""

import pickle
import random

import numpy as np
import pytest
import torch
import toys

import ddcore
from ddcore import importers
from ddcore.errors import ArtifactError, DataError, NotSupported, UnknownName
from ddcore.importers import from_pt, import_set
from ddcore.plugins import Entry


@pytest.fixture
def problem():
    return toys.image()


@pytest.fixture
def rows():
    """Two pictures a class, the classes in turn."""
    y = torch.arange(6) % 3
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), y


def dc_file(path, x, y, **more):
    """As `main_DC.py` and `main_DM.py` save: copies of images and labels of each experiment, accuracies as numpy numbers."""
    accuracies = {"ConvNet": [np.float64(0.5), np.float64(0.6)], "MLP": [np.float32(0.25)]}
    torch.save({"data": [[x, y], [x + 1, y]], "accs_all_exps": accuracies, **more}, path)
    return path


def test_dcs_own_layout_with_its_accuracy_lists(tmp_path, problem, rows):
    x, y = rows
    s = from_pt(dc_file(tmp_path / "res_DC_toy_ConvNet_2ipc.pt", x, y), problem)
    assert s.counts == {0: 2, 1: 2, 2: 2}
    order = [0, 3, 1, 4, 2, 5]
    assert torch.equal(s.x.detach(), x[order])
    assert s.batch().y.tolist() == [0, 0, 1, 1, 2, 2]
    assert s.label_kind == "ids"


def test_accuracies_that_an_older_numpy_pickled(tmp_path, problem, rows):
    """Before version 2 numpy called the maker of its numbers `numpy.core.multiarray.scalar`."""
    file = dc_file(tmp_path / "old.pt", *rows)
    import zipfile

    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "new.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
            new.writestr(name, content)
    assert from_pt(tmp_path / "new.pt", problem).counts == {0: 2, 1: 2, 2: 2}


@pytest.mark.parametrize("logits", [False, True])
def test_mtts_and_datms_folders(tmp_path, problem, rows, logits):
    x, y = rows
    soft = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    soft[torch.arange(6), y] += 9
    torch.save(x, tmp_path / "images_best.pt")
    torch.save(soft if logits else y, tmp_path / "labels_best.pt")
    torch.save(torch.tensor(0.03) if logits else 0.03, tmp_path / "lr_best.pt")
    s = from_pt(tmp_path, problem)
    assert s.step_size().item() == pytest.approx(0.03)
    if logits:
        assert s.label_kind == "probabilities"
        assert torch.allclose(s.batch().y, soft.softmax(1)[[0, 3, 1, 4, 2, 5]])


def test_probabilities_stay_what_they_are(tmp_path, problem, rows):
    x, y = rows
    soft = torch.eye(3)[y] * 0.7 + 0.1
    torch.save({"x": x, "y": soft}, tmp_path / "set.pt")
    assert torch.allclose(from_pt(tmp_path / "set.pt", problem).batch().y, soft[[0, 3, 1, 4, 2, 5]], atol=1e-6)


def test_an_imported_set_is_an_artifact_that_scores(tmp_path, problem):
    """The classes' own means, made elsewhere, teach more than nothing."""
    means = torch.stack([problem.data.take(problem.data.ids(g)).x.mean(0) for g in problem.data.groups])
    torch.save({"data": [[means, torch.arange(3)]]}, tmp_path / "means.pt")
    made = import_set(tmp_path / "means.pt", "pt", problem, method="means").save(tmp_path / "kept")
    kept = ddcore.open(tmp_path / "kept")
    assert kept.manifest["method"]["name"] == "means"
    assert kept.manifest["budget"] == {"ipc": 1}
    assert torch.equal(kept.synthetic(problem).x, made.synthetic(problem).x)
    assert ddcore.evaluate(kept, problem, seeds=1).score().mean > 0.6


def test_our_own_export_comes_back(tmp_path, problem):
    s = problem.synthetic(toys.COUNTS["image"], None, random.Random(0))
    torch.save({"x": s.x.detach(), "y": s.batch().y}, tmp_path / "own.pt")
    assert torch.equal(from_pt(tmp_path / "own.pt", problem).x, s.x)


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_code_in_a_file_is_never_run(tmp_path, problem, rows, capsys):
    torch.save({"data": [list(rows)], "more": Code()}, tmp_path / "bad.pt")
    with pytest.raises(ArtifactError, match=r"bad\.pt cannot be read as tensors"):
        from_pt(tmp_path / "bad.pt", problem)
    (tmp_path / "worse.pt").write_bytes(pickle.dumps(Code()))
    with pytest.raises(ArtifactError, match=r"worse\.pt cannot be read"):
        from_pt(tmp_path / "worse.pt", problem)
    assert "run" not in capsys.readouterr().out.split()


X, Y = torch.zeros(3, 1, 8, 8), torch.arange(3)


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"weights": X}, "holds keys weights: expected a .pt file of DC"),
        (X, r"holds a tensor of shape \(3, 1, 8, 8\): expected"),
        ({"data": []}, "expected"),
        ({"data": [[X, [0, 1, 2]]]}, r"a tensor of shape \(3, 1, 8, 8\) and a list, not two dense tensors"),
        ({"x": X, "y": Y.to_sparse()}, "not two dense tensors"),
        ({"x": X.to(torch.complex64), "y": Y}, "not two dense tensors"),
        ({"x": torch.tensor(0.0), "y": Y}, "are single numbers and those of"),
        ({"x": torch.zeros(3, 3, 8, 8), "y": Y}, "are 3 x 8 x 8 and those of image/toy are 1 x 8 x 8"),
        ({"x": X, "y": Y[:2]}, "3 rows and 2 labels"),
        ({"x": X[:0], "y": Y[:0]}, "0 rows and 0 labels"),
        ({"x": X / 0, "y": Y}, "NaN or infinity"),
        ({"x": X, "y": torch.ones(3, 10) / 10}, "of 10 classes and image/toy has 3"),
        ({"x": X, "y": Y + 1}, r"labels \[3\] that no training row"),
        ({"x": X, "y": torch.tensor(0)}, r"of shape \(\): expected \(n,\) class numbers or \(n, 3\)"),
        ({"x": X, "y": torch.eye(3)[..., None]}, r"of shape \(3, 3, 1\): expected"),
        ({"x": X, "y": Y + 0.5}, "hold 0.5: a class is a whole number, from 0 to 2"),
        ({"x": X, "y": Y / 0}, "labels in .* hold NaN or infinity"),
        ({"x": X, "y": torch.eye(3).log()}, "labels in .* hold NaN or infinity"),
    ],
)
def test_what_is_of_another_form_is_refused_with_what_was_expected(tmp_path, problem, saved, said):
    torch.save(saved, tmp_path / "set.pt")
    with pytest.raises(ArtifactError, match=said):
        from_pt(tmp_path / "set.pt", problem)


@pytest.mark.parametrize(
    "y", [Y.double(), Y.to(torch.uint8), torch.eye(3, dtype=torch.int64)], ids=lambda y: str(y.dtype)
)
def test_labels_of_any_type_of_number(tmp_path, problem, y):
    torch.save({"x": X, "y": y}, tmp_path / "set.pt")
    assert torch.equal(from_pt(tmp_path / "set.pt", problem).batch().y, Y if y.ndim == 1 else torch.eye(3))


def test_bytes_that_are_no_file_of_torch(tmp_path, problem, rows):
    """Cut short anywhere, or never written by torch: one error."""
    whole = dc_file(tmp_path / "whole.pt", *rows).read_bytes()
    torch.save({"x": rows[0], "y": rows[1]}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    old, rng = (tmp_path / "old.pt").read_bytes(), random.Random(0)
    cut = [content[: len(content) * i // 10] for content in (whole, old) for i in range(10)]
    noise = [rng.randbytes(rng.randrange(1, 400)) for _ in range(100)]
    for content in (*cut, *noise, b"x,y\n1,2\n", b"\x80\x02."):
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"bad\.pt cannot be read as tensors"):
            from_pt(tmp_path / "bad.pt", problem)


@pytest.mark.parametrize(
    ("lr", "said"),
    [
        (-1.0, "holds -1.0, and"),
        (float("nan"), "holds nan, and"),
        ({"lr": 0.1}, "holds keys lr, and"),
        (torch.ones(2), r"holds a tensor of shape \(2,\), and"),
        ("fast", "holds a str, and"),
    ],
)
def test_a_learning_rate_is_one_positive_number(tmp_path, problem, lr, said):
    for name, saved in (("images", X), ("labels", Y), ("lr", lr)):
        torch.save(saved, tmp_path / f"{name}_best.pt")
    with pytest.raises(ArtifactError, match=rf"lr_best\.pt {said} a learning rate is a positive number"):
        from_pt(tmp_path, problem)


def test_folders_files_and_forms_that_are_not_there(tmp_path, problem):
    torch.save(X, tmp_path / "images_best.pt")
    with pytest.raises(ArtifactError, match=r"no labels_best\.pt"):
        from_pt(tmp_path, problem)
    with pytest.raises(DataError, match="nothing at"):
        import_set(tmp_path / "absent.pt", "pt", problem)
    with pytest.raises(UnknownName, match=r"no importer 'ptt'.*pt"):
        import_set(tmp_path, "ptt", problem)
    graph = toys.graph()
    torch.save({"x": X, "y": Y}, tmp_path / "set.pt")
    with pytest.raises(NotSupported, match="a row of graph/toy is more than a tensor with a label"):
        from_pt(tmp_path / "set.pt", graph)


def test_a_plugins_importer_is_found_by_its_bare_name():
    entry = Entry("importer", "image/pt", "ddcore.importers:from_pt", "")
    assert entry.load() is importers.from_pt
