"""Pictures of sets beside the real data: how popular items are, how long histories are, what is clicked."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddcore.storage import write_bytes

from .clicks import ClickData, Clicks
from .discrete import discrete
from .sequences import SequenceData, Sequences
from .users import UserData, sparse_rows

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ddcore.parametrizations.base import Synthetic

__all__ = ["draw_clicks", "draw_sequences", "draw_users"]

COLOURS = {"real": "#8a9199", "weights": "#c8553d", "discrete": "#2f6690"}
Floats = NDArray[np.float64]


def draw_users(data: UserData, synthetic: Synthetic[Any], folder: Path) -> Path:
    """Writes `users.svg` into the folder: the share of interactions of each item, by its rank in the real data, and the lengths
    of histories. Weights are shown as they are and as discrete users. The same set gives the same bytes."""
    sets = {"real": data.train, "weights": sparse_rows(synthetic)}
    if not (sets["weights"].data == 1).all():
        sets["discrete"] = discrete(synthetic).rows
    items, lengths = ({name: np.asarray(rows.sum(axis)).ravel() for name, rows in sets.items()} for axis in (0, 1))
    return _histories(items, lengths, folder / "users.svg")


def draw_sequences(data: SequenceData, synthetic: Synthetic[Any], folder: Path) -> Path:
    """Writes `sequences.svg`: as `draw_users`, of the items that models see, a user's latest `length` + 1."""
    sets = {"real": data.batches("train"), "weights": [synthetic.batch()]}
    seen = {name: [_seen(batch, len(data.items)) for batch in batches] for name, batches in sets.items()}
    items = {name: np.sum([count for count, _ in parts], 0) for name, parts in seen.items()}
    lengths = {name: np.concatenate([length for _, length in parts]) for name, parts in seen.items()}
    return _histories(items, lengths, folder / "sequences.svg")


def _seen(batch: Sequences, items: int) -> tuple[Floats, Floats]:
    """Weights by item (I,), and lengths (n,)."""
    found = torch.cat([batch.x, batch.y[:, -1:]], 1).detach().cpu()
    if found.ndim == 2:
        return np.bincount(found.ravel(), minlength=items + 1)[1:].astype(float), (found > 0).sum(1).double().numpy()
    return found.sum((0, 1)).double().numpy(), found.sum((1, 2)).double().numpy()


def draw_clicks(data: ClickData, synthetic: Synthetic[Any], folder: Path) -> Path:
    """Writes `clicks.svg`: the share of rows that have a value, of all fields side by side, by its rank in the real data; and
    which share of these are clicks."""
    sets = {"real": data.batches("train", 4096), "weights": [synthetic.batch()]}
    found = {name: np.sum([_valued(batch, data.sizes) for batch in batches], 0) for name, batches in sets.items()}
    order = np.argsort(-found["real"][0], kind="stable")
    figure, (left, right) = _panels()
    for name, (rows, clicks) in found.items():
        at = np.arange(1, len(order) + 1)
        left.plot(at, (rows * len(data.sizes) / rows.sum())[order], color=COLOURS[name], label=name, lw=1.2)
        right.plot(at, (clicks / np.where(rows > 0, rows, np.nan))[order], ".", color=COLOURS[name], label=name)
    _named(left, "value of a field, most common first", "share of rows", xscale="log", yscale="log")
    _named(right, "value of a field, most common first", "share of clicks", xscale="log")
    return _written(figure, folder / "clicks.svg")


def _valued(batch: Clicks, sizes: Sequence[int]) -> Floats:  # (2, V)
    """How many rows have a value, and how many of these are clicks."""
    x, y = batch.x.detach().cpu().numpy(), batch.y.cpu().numpy()
    if batch.x.is_floating_point():
        return np.stack([x.sum(0, dtype=float), y @ x.astype(float)])
    values, clicks = (x + np.cumsum([0, *sizes[:-1]])).ravel(), np.repeat(y, len(sizes))
    return np.stack([np.bincount(values, w, sum(sizes)) for w in (None, clicks)])


def _histories(items: Mapping[str, Floats], lengths: Mapping[str, Floats], file: Path) -> Path:  # (I,) and (n,) each
    figure, (left, right) = _panels()
    order = np.argsort(-items["real"], kind="stable")
    for name, count in items.items():
        share = count[order] / max(count.sum(), 1e-12)
        left.plot(np.arange(1, len(share) + 1), share, color=COLOURS[name], label=name, lw=1.2)
        some = np.sort(lengths[name][lengths[name] > 0])[::-1]
        right.plot(np.linspace(0, 100, len(some)), some, color=COLOURS[name], label=name, lw=1.2)
    _named(left, "item, most popular first", "share of interactions", xscale="log", yscale="log")
    _named(right, "users, longest history first (%)", "length of history", yscale="log")
    return _written(figure, file)


def _panels() -> tuple[Figure, tuple[Axes, Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    return figure, (left, right)


def _named(axes: Axes, x: str, y: str, **scales: str) -> None:
    axes.set(xlabel=x, ylabel=y, **scales)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _written(figure: Figure, file: Path) -> Path:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "ddcore", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_bytes(file, buffer.getvalue())
    return file
