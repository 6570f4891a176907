"""`ddcore import`: a file of other code becomes a folder that the other commands take."""

import json

import pytest
import torch


@pytest.fixture
def theirs(tmp_path):
    """Two classes of dots, as DC's code would save them."""
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    torch.save({"data": [[x, torch.tensor([1, 0])]]}, tmp_path / "res_DC.pt")
    return tmp_path / "res_DC.pt"


def test_an_imported_set_is_evaluated_and_shown_like_any_other(ok, theirs):
    taken = ok(
        "import", theirs, "--from", "pt", "--problem", "toy/dots", "--set", "n=40", "--method", "dc", "--out", "kept"
    )
    assert "2 rows are in kept" in taken.stdout
    found = json.loads(ok("evaluate", "kept", "--seeds", 1, "--json").stdout)
    assert (found["method"], found["rows"]) == ("dc", 2)
    assert "dc" in ok("show", "kept").stdout


def test_data_is_found_again_where_it_was(ok, theirs, tmp_path):
    lines = [f"{side}.{i} {side}.{i} {int(side > 0)}" for i in range(20) for side in (-1, 1)]
    (tmp_path / "dots.txt").write_text("\n".join(lines))
    ok("import", theirs, "--from", "pt", "--problem", "toy/filed", "--data", tmp_path / "dots.txt", "--out", "kept")
    assert json.loads(ok("evaluate", "kept", "--seeds", 1, "--json").stdout)["rows"] == 2


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (None, "res_DC.pt cannot be read as tensors"),
        ({"data": [[torch.zeros(2, 3), torch.arange(2)]]}, "the rows in res_DC.pt are 3"),
        ({"x": torch.zeros(2, 2), "y": torch.tensor([0.0, 0.5])}, "a class is a whole number"),
    ],
)
def test_a_malformed_file_is_one_clear_error(refused, theirs, tmp_path, saved, said):
    theirs.write_bytes(theirs.read_bytes()[:200]) if saved is None else torch.save(saved, theirs)
    message = refused("import", "res_DC.pt", "--from", "pt", "--problem", "toy/dots", "--out", "kept")
    assert said in " ".join(message.split())
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "ptt", "--problem", "toy/dots"], "no importer 'ptt'"),
        (["--from", "pt", "--problem", "toy/dotz"], "no problem 'toy/dotz'"),
        (["--from", "pt", "--problem", "toy/dots", "--set", "m=1"], "m"),
    ],
)
def test_bad_input_is_one_clear_error(ddcore, theirs, tmp_path, words, said):
    result = ddcore("import", theirs, *words, "--out", "kept")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "kept").exists()
