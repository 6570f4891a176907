"""Report: what evaluation found. A score never stands without its protocol, its seeds and its bytes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["Report", "Score"]


@dataclass(frozen=True)
class Score:
    """One metric of one model, over networks that differ by their seed."""

    metric: str
    model: str
    protocol: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the networks."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Standard deviation over the networks (n - 1); 0 for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """A record of plain values."""
        return {
            "metric": self.metric,
            "model": self.model,
            "protocol": self.protocol,
            "mean": self.mean,
            "std": self.std,
            "seeds": len(self.values),
            "values": list(self.values),
        }

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.std:.4f}"


@dataclass(frozen=True)
class Report:
    """Scores of a set beside random real rows of the same budget under the same protocol, and the full-data ceiling."""

    problem: str
    method: str
    protocol: str
    scores: tuple[Score, ...]  # the task's main metric first, model by model
    baselines: tuple[Score, ...]  # random real rows; a new draw for each network
    ceilings: tuple[Score, ...] = ()  # all training rows; empty where it is not known
    ceiling_hint: str = ""  # how to get a ceiling that is missing
    label_kind: str = "ids"
    rows: int = 0
    bytes: int = 0
    split: str = "test"
    epoch_rule: str = "last"
    seconds: float = 0.0
    notes: Sequence[str] = field(default_factory=tuple)

    def score(self, metric: str | None = None, model: str | None = None, of: str = "scores") -> Score:
        """The score of a metric and model, by default the main ones; `of`: scores, baselines or ceilings."""
        for s in getattr(self, of):
            if metric in (None, s.metric) and model in (None, s.model):
                found: Score = s
                return found
        raise KeyError(f"no {metric or 'score'} of {model or 'any model'} among {of}")

    def to_json(self) -> dict[str, Any]:
        """The whole report as plain values."""
        lists: Mapping[str, Sequence[Score]] = {
            "scores": self.scores,
            "baselines": self.baselines,
            "ceilings": self.ceilings,
        }
        return {
            "problem": self.problem,
            "method": self.method,
            "protocol": self.protocol,
            "split": self.split,
            "epoch_rule": self.epoch_rule,
            "label_kind": self.label_kind,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            **{name: [s.to_json() for s in scores] for name, scores in lists.items()},
        }

    def table(self) -> Table:
        """One line for each model and metric."""
        seeds = len(self.scores[0].values) if self.scores else 0
        table = Table(
            title=f"{self.method} on {self.problem}, {self.rows} rows, {self.bytes:,} bytes",
            caption=f"{self.protocol}, {self.split} split, {self.epoch_rule} epoch; mean ± std of {seeds} networks",
        )
        for heading in ("model", "metric"):
            table.add_column(heading)
        for heading in (self.method, "random rows", "all rows"):
            table.add_column(heading, justify="right")
        ceilings = {(s.model, s.metric): s for s in self.ceilings}
        for s, baseline in zip(self.scores, self.baselines, strict=True):
            ceiling = ceilings.get((s.model, s.metric))
            table.add_row(s.model, s.metric, str(s), str(baseline), "–" if ceiling is None else f"{ceiling.mean:.4f}")
        return table

    def __str__(self) -> str:
        console = Console(width=110)
        with console.capture() as capture:
            console.print(self.table())
            for note in (*self.notes, *([self.ceiling_hint] if self.ceiling_hint else [])):
                console.print(note, highlight=False)
        return capture.get().rstrip()
