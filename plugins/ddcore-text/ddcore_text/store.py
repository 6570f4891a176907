"""What is costly and made once: tensors in the cache, by a key of everything they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save

from ddcore.cache import cache_folder
from ddcore.storage import write_bytes, write_text

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["key_of", "kept"]


def key_of(*parts: object) -> str:
    """A hash that names the parts."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:32]


def kept(key: str, what: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of that key, made and written on first use; `what` is said in `ddcore cache list`."""
    folder = cache_folder("text")
    file = folder / f"{key}.safetensors"
    if not file.is_file():
        write_bytes(file, save({name: x.contiguous().clone() for name, x in make().items()}))
        write_text(folder / f"{key}.json", json.dumps({"problem": "text", "what": what}))
    return load_file(file)
