"""The store: paths on disk, found by what they are of, trained where they are absent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path as File
from typing import Any

import torch
from joblib import delayed
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import checkpoint
from ..cache import cache_folder
from ..errors import ArtifactError, NotSupported, OptionError
from ..parallel import Backend, in_parallel
from ..problem import Problem
from ..seeds import stream
from ..storage import replacing, write_text
from .record import Snapshot, Trajectory
from .training import Path, Pretrained, Training

__all__ = ["Slot", "digest", "parameter_types", "slots_of", "train_experts"]

Progress = Callable[[str, int, int], None]
FORMAT = 1
PARTIAL = "partial.json"  # what a path under way is
SAVE_SECONDS = 20.0
"""A path under way is saved that often."""


def train_experts(
    problem: Problem[Any],
    number: int,
    training: Training = Training(),
    *,
    model: str | None = None,
    seed: int = 0,
    jobs: int = 1,
    backend: Backend = "loky",
    progress: Progress | None = None,
) -> list[Trajectory]:
    """`number` experts, read from the store where they are there and trained where they are not.

    The first ones of a larger number are those of a smaller one. `jobs` processes share the training: of this machine, or
    of a Ray cluster with `backend="ray"`. What is finished is kept when a training is interrupted, and a path that was under
    way goes on from its last saved epoch. `progress(what, done, total)` counts epochs. Snapshots are read when they are
    asked for. Raises Diverged, NotSupported for a network that trains itself and for Ray where it is not installed, and
    ArtifactError when a snapshot that is read has been altered on disk.
    """
    slots = slots_of(problem, number, training, model, seed)
    missing = [slot for slot in slots if not slot.whole()]
    done, total = 0, training.epochs * len(missing)

    def count(epochs: int) -> None:
        nonlocal done
        done += epochs
        if progress is not None:
            progress("experts", done, total)

    if missing:
        count(0)
    if jobs == 1 or len(missing) < 2:
        for slot in missing:
            _train(slot, count)
    else:
        for _ in in_parallel([delayed(_train)(slot) for slot in missing], jobs, backend):
            count(training.epochs)
    return [slot.read() for slot in slots]


# ---------------------------------------------------------------------------------------------------------------------
# one expert on disk


@dataclass(frozen=True)
class Slot:
    """Where one expert is, or will be: KEY.safetensors, and KEY.json that says what it is."""

    folder: File
    key: str
    problem: Problem[Any]
    model: str
    seed: int
    training: Training

    def file(self, ending: str) -> File:
        """KEY.ending."""
        return self.folder / f"{self.key}.{ending}"

    def manifest(self) -> dict[str, Any] | None:
        """What is said about the finished expert; None where it cannot be read: it is trained anew."""
        try:
            said: dict[str, Any] = json.loads(self.file("json").read_text())
            with safe_open(self.file("safetensors"), "pt") as data:  # refuses a file that was cut short
                whole = 0 < len(said["sha256"]) <= len(data.keys()) + 1  # a network without buffers has none there
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        return said if whole else None

    def whole(self) -> bool:
        """Whether the expert is there; each snapshot is checked when it is read."""
        return self.manifest() is not None

    def read(self) -> Trajectory:
        """The expert. Raises ArtifactError where it is not there."""
        said = self.manifest()
        if said is None:
            raise ArtifactError(
                f"the expert {self.file('safetensors')} was trained and is not there: let DDCORE_CACHE name a folder that "
                "all machines share"
            )
        with suppress(OSError):  # a cache that can only be read
            self.file("json").touch()  # when it was last used, for `ddcore cache prune`
        snapshots = _Stored(self.file("safetensors"), self.training, said["dtypes"], said["sha256"])
        return Trajectory(self.model, self.seed, self.training.stride, snapshots, snapshots.part("buffers"))

    def describe(self, ending: str, what: str, **more: Any) -> None:
        """Writes what the expert is into KEY.ending, for readers of any kind."""
        said = {
            "problem": self.problem.name,
            "model": self.model,
            "what": what,
            "seed": self.seed,
            "training": asdict(self.training),
            "format": FORMAT,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **more,
        }
        write_text(self.file(ending), json.dumps(said, indent=1) + "\n")


def slots_of(problem: Problem[Any], number: int, training: Training, model: str | None, seed: int) -> list[Slot]:
    """Where `number` experts belong. Their addresses hold all that they depend on: the problem, the task, the network as it
    is before training, the training and the seed."""
    if number < 1:
        raise OptionError(f"the number of experts is at least 1, got {number}")
    model = model or next(iter(problem.models))
    task = type(problem.task)
    ground = [FORMAT, problem.fingerprint(), f"{task.__module__}.{task.__qualname__}", model, asdict(training)]
    plain, said, slots = problem, list[str](), []
    if isinstance(made := problem.models.get(model), Pretrained):
        plain, said = replace(problem, models={model: made.make}), [made.said]
    for i in range(number):
        its = stream(seed, "expert", i).getrandbits(31)
        path = Path(plain, training, its, model)
        key = json.dumps([*ground, its, repr(path.net), digest(path.net.state_dict()), *said], sort_keys=True)
        slots.append(
            Slot(cache_folder("experts").absolute(), sha256(key.encode()).hexdigest(), problem, model, its, training)
        )
    return slots


def _train(slot: Slot, count: Callable[[int], None] = lambda epochs: None) -> None:
    """Trains the expert and stores it, from where an earlier training was interrupted."""
    if slot.whole():  # another process was faster
        count(slot.training.epochs)
        return
    training = slot.training
    path = Path(slot.problem, training, slot.seed, slot.model)
    snapshots = {}
    if (resumed := _read_partial(slot)) is not None:
        snapshots = resumed["snapshots"]
        path.load(resumed["path"])
        count(path.epoch)
    saved = time.monotonic()
    while True:
        if path.epoch % training.stride == 0 and path.epoch >= training.first:
            snapshots[path.epoch // training.stride] = path.snapshot()
        if path.epoch == training.epochs:
            break
        if time.monotonic() - saved >= SAVE_SECONDS:
            if slot.whole():  # another process was faster
                count(training.epochs - path.epoch)
                return
            slot.describe(PARTIAL, f"unfinished: epoch {path.epoch} of {training.epochs}")
            checkpoint.save(slot.file("partial"), {"snapshots": snapshots, "path": path.state()})
            saved = time.monotonic()
        path.advance()
        count(1)
    _write(slot, path, snapshots)


def _read_partial(slot: Slot) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = checkpoint.load(slot.file("partial"))
    except ArtifactError:  # there is none, or it is damaged: from the start
        return None
    return found


def _write(slot: Slot, path: Path, snapshots: Mapping[int, Mapping[str, Tensor]]) -> None:
    parts = {_name(k): snapshot for k, snapshot in snapshots.items()}
    parts["buffers"] = {name: b.detach().cpu().clone() for name, b in path.net.named_buffers()}
    tensors = {f"{part}.{name}": x.contiguous() for part, values in parts.items() for name, x in values.items()}
    with replacing(slot.file("safetensors")) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:
            raise ArtifactError(f"cannot write {slot.file('safetensors')}: {error}. Is the disk full?") from error
    flat = ", flat" if slot.training.rho else ""
    slot.describe(
        "json",
        f"{slot.training.epochs} epochs{flat}",
        val=path.score(),
        dtypes={name: str(dtype).removeprefix("torch.") for name, dtype in parameter_types(path).items()},
        bytes=slot.file("safetensors").stat().st_size,
        sha256={part: digest(values) for part, values in parts.items()},
    )
    for ending in ("partial", PARTIAL):
        slot.file(ending).unlink(missing_ok=True)


class _Stored(Sequence[Snapshot]):
    """Snapshots in a file that is mapped into memory: each is copied out when it is asked for, and checked the first time."""

    def __init__(self, path: File, training: Training, dtypes: Mapping[str, str], digests: Mapping[str, str]) -> None:
        self.path, self.training, self.dtypes, self.digests = path, training, dtypes, digests
        self._open()

    def _open(self) -> None:
        self.checked: set[str] = set()
        try:
            self.data: Any = safe_open(self.path, "pt")
            self._names: set[str] = set(self.data.keys())  # type: ignore[no-untyped-call, unused-ignore]
        except (OSError, SafetensorError) as error:
            raise self._damaged() from error

    def __len__(self) -> int:
        return self.training.snapshots

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        k = range(len(self))[k]
        if k * self.training.stride < self.training.first:
            raise NotSupported(
                f"the snapshot of epoch {k * self.training.stride} was not kept: these experts are kept from epoch "
                f"{self.training.first} on. Start later, or train experts with an earlier `first`"
            )
        stored = self.part(_name(k))
        return {name: stored[name].to(getattr(torch, dtype), copy=True) for name, dtype in self.dtypes.items()}

    def part(self, part: str) -> dict[str, Tensor]:
        """The tensors of one snapshot as they are stored, or the buffers. Raises ArtifactError where they were altered."""
        try:
            names = [name for name in self._names if name.startswith(f"{part}.")]
            found = {name.removeprefix(f"{part}."): self.data.get_tensor(name) for name in names}
        except (OSError, SafetensorError) as error:
            raise self._damaged() from error
        if part not in self.checked:
            if digest(found) != self.digests[part]:
                raise self._damaged()
            self.checked.add(part)
        return found

    def _damaged(self) -> ArtifactError:
        return ArtifactError(
            f"the expert {self.path} was altered after it was stored: `ddcore cache prune {self.path.stem[:12]} --yes` removes "
            "it, and the next run trains it anew"
        )

    def __getstate__(self) -> dict[str, Any]:  # another process maps the file itself
        return {k: v for k, v in vars(self).items() if k not in ("data", "checked", "_names")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._open()


def _name(k: int) -> str:
    return f"{k:05d}"


def parameter_types(path: Path) -> dict[str, torch.dtype]:
    """The types of a network's trainable parameters, in their order."""
    return {name: p.dtype for name, p in path.net.named_parameters() if p.requires_grad}


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and values."""
    found = sha256()
    for name, x in sorted(tensors.items()):
        found.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        found.update(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
