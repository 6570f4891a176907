"""Files and folders that are either whole or not there."""

from __future__ import annotations

import errno
import secrets
import shutil
from contextlib import contextmanager
from hashlib import sha256 as _sha256
from typing import TYPE_CHECKING

from .errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["replacing", "sha256", "write_bytes", "write_text"]


def sha256(data: bytes) -> str:
    """The hash as hexadecimal digits."""
    return _sha256(data).hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole, or leaves what was there. Raises ArtifactError where it cannot."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole in UTF-8, or leaves what was there. Raises ArtifactError where it cannot."""
    write_bytes(path, text.encode())


@contextmanager
def replacing(path: Path, *, keep: Collection[str] = ()) -> Iterator[Path]:
    """A path beside `path`, to write a file or a folder at. It takes the place of `path` when the block ends, and is
    removed when the block fails. Names in `keep` move from a folder that is replaced into the new one.

    A folder cannot be exchanged for another in one step: between two renames the old one lies beside `path` in full,
    under its name with a dot in front. Raises ArtifactError where the disk is full or the place cannot be written.
    """
    target = path.resolve()  # a link stays one
    temporary, old = (target.with_name(f".{target.name}.{secrets.token_hex(4)}.{part}") for part in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir() and target.is_dir():
            target.replace(old)
            try:
                temporary.replace(target)
            except BaseException:
                old.replace(target)
                raise
            for name in keep:
                (old / name).replace(target / name)
            shutil.rmtree(old)
        else:
            temporary.replace(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space is left on the disk" if full else error.strerror or str(error)
        advice = "free some, or write elsewhere" if full else "write elsewhere, or change the permissions"
        raise ArtifactError(f"cannot write {path}: {reason}. What was there is untouched; {advice}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        elif temporary.exists():
            temporary.unlink()
