"""torchaudio and transformers, also beside a torch that torchaudio's compiled part was not built for.

The wheels of torchaudio on PyPI need CUDA's libraries. Beside a CPU torch `import torchaudio` fails, and with it every model
of transformers, which imports torchaudio wherever it is installed. Plugins therefore import both through here.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

__all__ = ["torchaudio", "transformers"]


def torchaudio() -> ModuleType:
    """The module torchaudio; where its compiled part does not load, without that part: transforms and datasets work, forced
    alignment does not. Raises ModuleNotFoundError where it is not installed."""
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError):  # a library is missing, or was built for another CUDA
        _forget()
        sys.modules["torchaudio._extension"] = _no_extension()
        try:
            return importlib.import_module("torchaudio")
        except BaseException:
            _forget()
            raise


def transformers() -> ModuleType:
    """The module transformers, whose models import torchaudio wherever that is installed."""
    if importlib.util.find_spec("torchaudio") is not None:
        torchaudio()
    return importlib.import_module("transformers")


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]


def _no_extension() -> ModuleType:
    """`torchaudio._extension` as it is where the wheel holds no library."""
    module: Any = ModuleType("torchaudio._extension", "No compiled part: it did not load beside this torch.")
    module.__path__ = []
    module._IS_TORCHAUDIO_EXT_AVAILABLE = module._IS_ALIGN_AVAILABLE = False
    module._load_lib = lambda lib: False
    module.fail_if_no_align = _without_alignment
    return module  # type: ignore[no-any-return]


def _without_alignment(function: Callable[..., Any]) -> Callable[..., NoReturn]:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError(
            f"{function.__name__} needs torchaudio's compiled part, which did not load beside this torch"
        )

    return fail
