"""Budget: what may be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, inf
from typing import Any, Literal

from .errors import BudgetError
from .problem import DataSource, nbytes

__all__ = ["Budget", "in_words"]


@dataclass(frozen=True)
class Budget:
    """Items per class (ipc), a ratio of the training rows, or bytes: exactly one. On an unlabelled problem ipc is rows.

    `ratio_of` says what a ratio is of: the `labelled` training rows, or `all` rows of the data (graph papers use both).
    """

    ipc: int | None = None
    ratio: float | None = None
    bytes: int | None = None
    ratio_of: Literal["labelled", "all"] = "labelled"

    def __post_init__(self) -> None:
        given = {k: v for k in ("ipc", "ratio", "bytes") if (v := getattr(self, k)) is not None}
        if len(given) != 1:
            what = " and ".join(given) or "none of them"
            raise BudgetError(f"a budget is one of ipc, ratio and bytes; got {what}: give exactly one, such as ipc=10")
        ((name, value),) = given.items()
        if self.ratio_of not in ("labelled", "all"):
            raise BudgetError(f"ratio_of is labelled or all, got {self.ratio_of!r}")
        if name != "ratio" and not (isinstance(value, int) and not isinstance(value, bool)):
            raise BudgetError(f"{name} must be a whole number, got {value!r}")
        if not isinstance(value, int | float):
            raise BudgetError(f"{name} must be a number, got {value!r}")
        if not 0 < value <= (1 if name == "ratio" else inf):  # NaN is in no range
            raise BudgetError(f"{name} must be {'in (0, 1]' if name == 'ratio' else 'at least 1'}, got {value}")

    def describe(self) -> dict[str, int | float | str]:
        """The budget as it was given."""
        if self.ratio is not None:
            return {"ratio": self.ratio, "ratio_of": self.ratio_of}
        return {"ipc": self.ipc} if self.ipc is not None else {"bytes": self.bytes or 0}

    def counts(self, data: DataSource, names: Sequence[str] = ()) -> Mapping[int, int]:
        """Rows of each group: equal for ipc, by the data's `quotas` for a ratio or bytes, at least one each. `names` are the
        classes'."""
        sizes = {g: len(data.ids(g)) for g in data.groups}
        if self.ipc is not None:
            counts: Mapping[int, int] = dict.fromkeys(sizes, self.ipc)
            what, most = "ipc", f"{min(sizes.values())}"
        else:
            total = sum(sizes.values())
            if self.ratio is not None:
                whole = total if self.ratio_of == "labelled" else data.population()
                rows = round(self.ratio * whole)
                what, most = f"ratio of {self.ratio_of} rows", f"{floor(1e6 * total / whole) / 1e6:g}"
            else:
                first = data.ids()[:1]
                row = nbytes(data.kept(first).take(first))
                rows = (self.bytes or 0) // row
                if rows < len(sizes):
                    raise BudgetError(
                        f"{self.bytes} bytes hold {rows} rows of {row} bytes; {len(sizes)} groups need one each: give "
                        f"{len(sizes) * row} or more"
                    )
                what, most = "number of bytes", f"{total * row}"
            counts = data.quotas(max(rows, len(sizes)), sizes)
        for g, n in counts.items():
            if n > sizes[g]:
                group = f"class {names[g]!r}" if g < len(names) else f"group {g}"
                raise BudgetError(
                    f"{group} has {sizes[g]} training rows and the budget asks for {n}: the largest {what} that every group "
                    f"can fill is {most}"
                )
        return counts


def in_words(described: Mapping[str, Any]) -> str:
    """A budget as `describe` gives it, alone or in a row of a table: "ipc 10", "ratio 0.05 of all rows"."""
    if "ratio" in described:
        return f"ratio {described['ratio']} of {described['ratio_of']} rows"
    return next(f"{name} {described[name]}" for name in ("ipc", "bytes") if name in described)
