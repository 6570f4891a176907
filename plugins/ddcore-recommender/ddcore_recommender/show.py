"""The picture of a set: how popular its items are and how long its histories, beside the real data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ddcore.storage import write_bytes

from .discrete import discrete
from .users import UserData, sparse_rows

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from ddcore.parametrizations.base import Synthetic

__all__ = ["drawing"]

REAL, FAKE, DISCRETE = "#8a9199", "#c8553d", "#2f6690"


def drawing(data: UserData, synthetic: Synthetic[Any], folder: Path) -> Path:
    """Writes `users.svg` into the folder: the share of interactions of each item, by its rank in the real data, and the lengths
    of histories. Weights are shown as they are and as discrete users. The same set gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    real, fake = data.train, sparse_rows(synthetic)
    sets = [("real", REAL, real), ("weights", FAKE, fake)]
    if not (fake.data == 1).all():
        sets.append(("discrete", DISCRETE, discrete(synthetic).rows))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = np.argsort(-np.asarray(real.sum(0)).ravel(), kind="stable")
    for name, colour, rows in sets:
        share = np.asarray(rows.sum(0)).ravel()[order]
        left.plot(np.arange(1, len(share) + 1), share / max(share.sum(), 1e-12), color=colour, label=name, lw=1.2)
        lengths = np.asarray(rows.sum(1)).ravel()
        lengths = np.sort(lengths[lengths > 0])[::-1]
        right.plot(np.linspace(0, 100, len(lengths)), lengths, color=colour, label=name, lw=1.2)
    _named(left, "item, most popular first", "share of interactions")
    left.set_xscale("log")
    _named(right, "users, longest history first (%)", "length of history")
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "ddcore", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_bytes(folder / "users.svg", buffer.getvalue())
    return folder / "users.svg"


def _named(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
