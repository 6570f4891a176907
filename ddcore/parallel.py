"""Work in several processes: of this machine, or of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from joblib import Parallel, parallel_config

from .errors import NotSupported

__all__ = ["Backend", "in_parallel"]

Backend = Literal["loky", "ray"]


def in_parallel(tasks: Sequence[Any], jobs: int, backend: Backend = "loky") -> Iterator[Any]:
    """What joblib's delayed tasks return: each when it is finished, in any order; with Ray, all when the last one is.

    Raises NotSupported for Ray where it is not installed.
    """
    if backend == "loky":
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)
        return
    try:
        from ray.util.joblib import register_ray  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise NotSupported('backend "ray" needs Ray, which is not installed: pip install "ray"') from error
    register_ray()
    with parallel_config(backend="ray", n_jobs=jobs):
        yield from Parallel()(tasks)
