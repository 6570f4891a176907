import errno
import os
import stat
from pathlib import Path

import pytest

from ddcore.errors import ArtifactError
from ddcore.storage import replacing, sha256, write_bytes, write_text


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_sha256_is_the_standard_one():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_written_file_has_the_bytes_and_the_usual_permissions(tmp_path):
    write_bytes(tmp_path / "new" / "a", b"\0\r\n")
    write_text(tmp_path / "b", "é\n")
    assert (tmp_path / "new" / "a").read_bytes() == b"\0\r\n"
    assert (tmp_path / "b").read_bytes() == "é\n".encode()
    usual = tmp_path / "usual"
    usual.touch()
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("where", ["write", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where):
    file = tmp_path / "a"
    write_text(file, "old")
    monkeypatch.setattr(*{"write": (Path, "write_bytes"), "replace": (os, "replace")}[where], full)
    with pytest.raises(ArtifactError, match=r"cannot write .*a: no space is left on the disk"):
        write_text(file, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert file.read_text() == "old"


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="cannot write"):
        write_text(tmp_path / "file" / "below", "x")


def test_a_folder_takes_the_place_of_another_whole(tmp_path):
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()
    (target / "notes").write_text("mine")
    with replacing(target, keep=["notes"]) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        assert {p.name for p in target.iterdir()} == {"old", "notes"}
    assert {p.name for p in target.iterdir()} == {"new", "notes"}
    assert (target / "notes").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_an_interruption_leaves_the_old_folder_and_nothing_else(tmp_path):
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()

    def interrupted():
        with replacing(target) as temporary:
            temporary.mkdir()
            (temporary / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert [p.name for p in target.iterdir()] == ["old"]


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    target, really = tmp_path / "set", os.replace
    target.mkdir()
    (target / "old").touch()

    def second_fails(a, b):
        return full() if Path(a).name.endswith(".new") else really(a, b)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(ArtifactError, match="no space"), replacing(target) as temporary:
        temporary.mkdir()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    assert [p.name for p in target.iterdir()] == ["old"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["new"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_the_folder_one_stands_in_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replacing(Path()) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert (tmp_path / "new").exists()
