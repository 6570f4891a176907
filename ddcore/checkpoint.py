"""Checkpoints: a tree of plain values and tensors in one safetensors file, without pickle."""

from __future__ import annotations

import json
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from .errors import ArtifactError
from .storage import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load", "save"]

TREE, DIGEST = "tree", "sha256"  # beside the tensors, which are numbered


def save(path: Path, tree: Any) -> None:
    """Writes the tree whole, or leaves what was there.

    The tree is made of dict, list, tuple, None, bool, int, float, str and Tensor. It comes back with the same types and
    bits, with tensors on the CPU and without grad, and ordered dicts as dicts. Raises TypeError for anything else, and
    ArtifactError where the file cannot be written.
    """
    found: list[Tensor] = []
    skeleton = json.dumps(_encode(tree, found, "tree"))
    stored = {str(i): x for i, x in enumerate(found)}
    stored[TREE] = torch.frombuffer(bytearray(skeleton, "utf-8"), dtype=torch.uint8)
    stored[DIGEST] = torch.frombuffer(bytearray(_digest(stored)), dtype=torch.uint8)
    write_bytes(path, save_tensors(stored))


def load(path: Path) -> Any:
    """The tree that `save` was given. Raises ArtifactError where the file is missing, cut short or altered."""
    try:
        stored = load_tensors(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    except SafetensorError as error:
        raise _damaged(path) from error
    digest = stored.pop(DIGEST, None)
    if digest is None or TREE not in stored or digest.numpy().tobytes() != _digest(stored):
        raise _damaged(path)
    return _decode(json.loads(stored[TREE].numpy().tobytes()), stored)


def _damaged(path: Path) -> ArtifactError:
    return ArtifactError(f"the checkpoint {path} is cut short or altered: remove it and start anew, or restore a copy")


def _digest(stored: dict[str, Tensor]) -> bytes:
    digest = sha256()
    for name, x in sorted(stored.items()):
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        digest.update(x.flatten().view(torch.uint8).numpy().data)
    return digest.digest()


def _encode(value: Any, found: list[Tensor], where: str) -> Any:
    """JSON in which every object has one key that says what it stands for; tensors are appended to `found`."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        found.append(value.detach().cpu().clone(memory_format=torch.contiguous_format))
        return {"tensor": len(found) - 1}
    if kind is list:
        return [_encode(v, found, f"{where}[{i}]") for i, v in enumerate(value)]
    if kind is tuple:
        return {"tuple": [_encode(v, found, f"{where}[{i}]") for i, v in enumerate(value)]}
    if kind in (dict, OrderedDict):
        return {"dict": [[_encode(k, found, where), _encode(v, found, f"{where}[{k!r}]")] for k, v in value.items()]}
    raise TypeError(
        f"{where} is a {kind.__module__}.{kind.__qualname__}; a checkpoint holds dict, list, tuple, None, bool, int, "
        "float, str and Tensor: keep plain values, or something with a state_dict()"
    )


def _decode(value: Any, stored: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(v, stored) for v in value]
    if not isinstance(value, dict):
        return value
    ((tag, inner),) = value.items()
    if tag == "tensor":
        return stored[str(inner)]
    if tag == "tuple":
        return tuple(_decode(v, stored) for v in inner)
    return {_decode(k, stored): _decode(v, stored) for k, v in inner}
