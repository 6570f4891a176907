"""Report: what evaluation found. A score never stands without its protocol, its seeds and its bytes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rich.console import Console
from rich.table import Table

from .errors import OptionError
from .intervals import Difference, Mean, paired, unpaired

__all__ = ["Fair", "Report", "Score"]


@dataclass(frozen=True)
class Score:
    """One metric of one model, over networks that differ by their seed."""

    metric: str
    model: str
    protocol: str
    values: tuple[float, ...]
    method: str = ""  # of a baseline: how its rows were selected
    higher_is_better: bool = True

    @property
    def mean(self) -> float:
        """Mean over the networks."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """Standard deviation over the networks (n - 1); 0 for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over the networks; None for one."""
        return Mean(self.values).interval()

    def to_json(self) -> dict[str, Any]:
        """A record of plain values."""
        return {
            "metric": self.metric,
            "model": self.model,
            "protocol": self.protocol,
            **({"method": self.method} if self.method else {}),
            "higher_is_better": self.higher_is_better,
            "mean": self.mean,
            "std": self.std,
            "interval": None if self.interval is None else list(self.interval),
            "seeds": len(self.values),
            "values": list(self.values),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Score:
        """The score that `to_json` gave."""
        names = {f.name for f in fields(cls)} & found.keys()
        return cls(**{**{name: found[name] for name in names}, "values": tuple(found["values"])})

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.std:.4f}" if len(self.values) > 1 else f"{self.mean:.4f}"


@dataclass(frozen=True)
class Fair:
    """The fair scores of one model (DD-Ranking, Li et al. 2025), of fractions: the metric's value placed between the ends of
    its range. None where a part has no meaning on the problem or is not known."""

    model: str
    metric: str
    ior: float
    """Improvement over random: the set's score less that of random real rows under the same protocol. Higher is better."""
    hlr: float | None = None
    """Hard-label recovery: the score of training on all rows less that on the set with hard labels. Lower is better."""
    lrs: float | None = None
    """Label-robust score, in [0, 1], of the balance (ior - hlr) / 2; 0.269 where that is 0."""
    ars: float | None = None
    """Augmentation-robust score, in [0, 1], of the mean improvement over random with augmentation and without."""

    def to_json(self) -> dict[str, Any]:
        """A record of plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """Scores of a set beside random real rows of the same budget under the same protocol, and the full-data ceiling."""

    problem: str
    method: str
    protocol: str
    scores: tuple[Score, ...]  # the task's main metric first, model by model
    baselines: tuple[Score, ...]  # random real rows, then those of each other selection; a new draw for each network
    ceilings: tuple[Score, ...] = ()  # all training rows; empty where it is not known
    ceiling_hint: str = ""  # how to get a ceiling that is missing
    fair: tuple[Fair, ...] = ()  # a record for each model, where they were asked for
    label_kind: str = "ids"
    rows: int = 0
    bytes: int = 0
    split: str = "test"
    epoch_rule: str = "last"
    seconds: float = 0.0
    notes: Sequence[str] = field(default_factory=tuple)

    def score(
        self, metric: str | None = None, model: str | None = None, of: str = "scores", method: str | None = None
    ) -> Score:
        """The score of a metric and model, by default the main ones; `of`: scores, baselines or ceilings; of a baseline that
        `method` selects, by default random rows."""
        for s in getattr(self, of):
            if metric in (None, s.metric) and model in (None, s.model) and method in (None, s.method):
                found: Score = s
                return found
        raise KeyError(
            f"no {metric or 'score'} of {model or 'any model'} among {of}{f' by {method}' if method else ''}"
        )

    def against(self, other: Report, metric: str | None = None, model: str | None = None) -> Difference:
        """What this set is ahead of the other by, in the metric's good direction: network by network, as the same seeds gave
        both (Student's paired t). By default the main metric of the first model. Raises OptionError where the two were not
        evaluated alike."""
        for what in ("problem", "protocol", "epoch_rule", "split"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise OptionError(
                    f"the {what.replace('_', ' ')} is {mine} here and {theirs} there: evaluate both sets alike"
                )
        try:
            a = self.score(metric, model)
            b = other.score(a.metric, a.model)
        except KeyError as error:
            raise OptionError(f"{error.args[0]}: evaluate both sets with the same models") from error
        if len(a.values) != len(b.values):
            raise OptionError(
                f"{len(a.values)} networks here and {len(b.values)} there: evaluate both sets over the same seeds"
            )
        return paired(a.values, b.values) if a.higher_is_better else paired(b.values, a.values)

    def transfer(self, metric: str | None = None) -> float | None:
        """The mean score of the networks after the first as a part of the first one's, of a metric that is better when lower the
        inverse: 1 where the set serves all alike, below where it serves the others less. None for one network, and where the
        part has no meaning (of nothing)."""
        of = metric or self.score().metric
        first, *others = (s for s in self.scores if s.metric == of)
        if not others:
            return None
        part, whole = statistics.fmean(s.mean for s in others), first.mean
        if not first.higher_is_better:
            part, whole = whole, part
        return part / whole if whole > 0 else None

    def by_selection(self) -> dict[str, list[Score]]:
        """The baselines by what they are, each in the order of the scores."""
        found: dict[str, list[Score]] = {}
        for s in self.baselines:
            found.setdefault("random rows" if s.method in ("", "random") else s.method, []).append(s)
        return found

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
            "transfer": {s.metric: self.transfer(s.metric) for s in self.scores},
            "fair": [f.to_json() for f in self.fair],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Report:
        """The report that `to_json` gave."""
        names = {f.name for f in fields(cls)} & found.keys()
        lists = {name: tuple(map(Score.from_json, found[name])) for name in ("scores", "baselines", "ceilings")}
        fair = tuple(Fair(**f) for f in found["fair"])
        return cls(**{**{name: found[name] for name in names}, **lists, "fair": fair, "notes": tuple(found["notes"])})

    def table(self) -> Table:
        """One line for each model and metric."""
        seeds = len(self.scores[0].values) if self.scores else 0
        table = Table(
            title=f"{self.method} on {self.problem}, {self.rows} rows, labels: {self.label_kind}, {self.bytes:,} bytes",
            caption=f"{self.protocol}, {self.split} split, {self.epoch_rule} epoch; "
            + (f"mean ± std of {seeds} networks" if seeds > 1 else "one network"),
        )
        for heading in ("model", "metric"):
            table.add_column(heading)
        baselines = self.by_selection()
        for heading in (self.method, *baselines, "all rows"):
            table.add_column(heading, justify="right")
        ceilings = {(s.model, s.metric): s for s in self.ceilings}
        for s, *beside in zip(self.scores, *baselines.values(), strict=True):
            ceiling = ceilings.get((s.model, s.metric))
            top = "–" if ceiling is None else f"{ceiling.mean:.4f}"
            table.add_row(s.model, s.metric, str(s), *map(str, beside), top)
        return table

    def fair_table(self) -> Table:
        """One line for each model and metric."""
        table = Table(
            title="fair scores",
            caption="of fractions; ior: improvement over random, hlr: hard-label recovery (lower is better),\n"
            "lrs, ars: label-robust and augmentation-robust score, 0.269 at no advantage",
        )
        for heading in ("model", "metric"):
            table.add_column(heading)
        for heading in ("ior", "hlr", "lrs", "ars"):
            table.add_column(heading, justify="right")
        for f in self.fair:
            table.add_row(f.model, f.metric, *("–" if v is None else f"{v:.3f}" for v in (f.ior, f.hlr, f.lrs, f.ars)))
        return table

    def advantages(self) -> list[str]:
        """For each model and metric what the set is above each baseline by, in a sentence."""
        lines = []
        for name, baselines in self.by_selection().items():
            for s, baseline in zip(self.scores, baselines, strict=True):
                found = unpaired(Mean(s.values), Mean(baseline.values))
                verdict = "" if found.interval is None or found.distinguishable else ": not told apart"
                lines.append(f"{s.model}, {s.metric}: {found} above {name}{verdict}")
        return lines

    def print(self, console: Console) -> None:
        """The tables, and the notes below them."""
        console.print(self.table())
        for line in self.advantages():
            console.print(line, highlight=False)
        if self.fair:
            console.print(self.fair_table())
        for note in (*self.notes, *([self.ceiling_hint] if self.ceiling_hint else [])):
            console.print(note, highlight=False)

    def __str__(self) -> str:
        console = Console(width=110)
        with console.capture() as capture:
            self.print(console)
        return capture.get().rstrip()
