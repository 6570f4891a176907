"""The page of distilled sets: what each is, how it was made, what it scores, what it cost, how to load and cite it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import PurePath
from typing import Any

from ..artifact import Artifact
from ..card import properties_in_words
from ..errors import ArtifactError, OptionError
from ..intervals import Difference
from ..report import Report
from .charts import curve
from .template import fill

__all__ = ["run_page"]

IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml"}

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
"""What a set's own page may load: what is in it."""


@dataclass(frozen=True)
class Run:
    """What the page shows of one artifact."""

    title: str
    path: str
    rows: str
    facts: Mapping[str, str]
    picture: str  # HTML
    curves: Sequence[str]  # SVG
    report: Report | None  # of the last `ddcore evaluate`
    cost: Mapping[str, Any]
    bytes: Mapping[str, int]
    loading: str
    citation: str


def run_page(artifacts: Sequence[Artifact]) -> str:
    """One page for one or several artifacts, as saved: nothing but their folders is read."""
    runs = [_run(artifact) for artifact in artifacts]
    return fill(
        "run.html.jinja",
        runs=runs,
        ahead=[_ahead(run, runs[0]) for run in runs],
        cross=_cross(runs),
        title=runs[0].title if len(runs) == 1 else f"{len(runs)} runs",
    )


def _run(artifact: Artifact) -> Run:
    m = artifact.manifest
    method = m["method"]
    scores = _noted(artifact, "scores.json", "ddcore evaluate")
    return Run(
        title=f"{method['name']} on {m['problem']['name']}",
        path="" if artifact.path is None else artifact.path.name,
        rows=f"{artifact.rows:,}",
        facts=_facts(artifact),
        picture=_picture(artifact),
        curves=[curve(values, name) for name, values in _curves(artifact)],
        report=Report.from_json(scores) if isinstance(scores.get("scores"), list) else None,
        cost=_noted(artifact, "cost.json", "ddcore distill"),
        bytes=m["bytes"],
        loading=_loading(artifact),
        citation=method["paper"] or "",
    )


def _noted(artifact: Artifact, name: str, writer: str) -> Any:
    """What lies beside the set. Raises ArtifactError where it is damaged."""
    try:
        return json.loads(artifact.notes.get(name, "{}"))
    except ValueError as error:
        raise ArtifactError(f"{name} in {artifact.path} is damaged: remove it; `{writer}` writes it again") from error


def _ahead(run: Run, first: Run) -> Difference | None:
    """What the run is ahead of the first; None where the two were not evaluated alike."""
    if run is first or run.report is None or first.report is None:
        return None
    try:
        return run.report.against(first.report)
    except OptionError:
        return None


def _facts(artifact: Artifact) -> dict[str, str]:
    m = artifact.manifest
    method, versions = m["method"], m["versions"]
    options = ", ".join(f"{k} {v}" for k, v in method["options"].items() if v is not None)
    facts = {
        "problem": m["problem"]["name"],
        "problem options": ", ".join(f"{k} {v}" for k, v in m["problem"]["options"].items()),
        "method": method["name"] + (f", preset {method['preset']}" if method["preset"] else ""),
        "options": options,
        "budget": ", ".join(f"{k} {v}" for k, v in m["budget"].items()),
        "rows": f"{artifact.rows:,} in {len(m['counts'])} groups",
        "labels": m["label_kind"],
        "properties": properties_in_words(m.get("properties", {})),
        "preprocessing": m["preprocessing"]["name"],
        "input space": m["input_space"],
        "protocol": m["recipe"],
        "seed": str(m["seed"]),
        "made with": f"ddcore {versions['ddcore']}, torch {versions['torch']}",
    }
    return {k: v for k, v in facts.items() if v}


def _picture(artifact: Artifact) -> str:
    """The set's own picture: an image, a page of the plugin's (players, cards), or text."""
    name = artifact.manifest["picture"]
    if not name or name not in artifact.files:
        return ""
    suffix, text = PurePath(name).suffix.lower(), artifact.files[name].decode(errors="replace")
    if suffix in IMAGES:
        return f'<img class="picture" src="{_inline(artifact, name)}" alt="the distilled set">'
    if suffix in (".html", ".htm"):
        text = re.sub(r'(?<= src=")[^":]+(?=")', lambda found: _inline(artifact, found.group()), text)
        return _framed(text)
    return f'<pre class="picture">{html.escape(text)}</pre>'


def _framed(page: str) -> str:
    """A page that anyone may have written, in a frame where no script runs and nothing is fetched."""
    guarded = f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{POLICY}">{page}'
    return (
        '<iframe class="picture" title="the distilled set" sandbox="allow-same-origin" '  # the page measures its height
        f'srcdoc="{html.escape(guarded)}"></iframe>'
    )


def _inline(artifact: Artifact, name: str) -> str:
    """A file of the artifact as a data URI, so that the page needs nothing beside it; another name as it is."""
    if name not in artifact.files:
        return name
    kind = IMAGES.get(PurePath(name).suffix.lower()) or guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(artifact.files[name]).decode()}"


def _curves(artifact: Artifact) -> list[tuple[str, list[float]]]:
    """The loss first, then whatever else was logged at every update."""
    history = artifact.history
    names = [k for k in (history[0] if history else {}) if k != "step" and all(k in record for record in history)]
    names.sort(key=lambda k: (k != "loss", k))
    found = [(k, [float(record[k]) for record in history if isinstance(record[k], int | float)]) for k in names]
    return [(k, values) for k, values in found if len(values) == len(history) > 1]


def _loading(artifact: Artifact) -> str:
    """The five lines of the card."""
    text = artifact.files.get("README.md", b"").decode()
    code = re.search(r"## Load.*?```python\n(.*?)```", text, re.DOTALL)
    return code.group(1).strip() if code else ""


def _cross(runs: Sequence[Run]) -> Mapping[str, Any] | None:
    """Runs by models, of the main metric, where more than one network was asked for, with each run's transfer; `parts` are the
    means between the worst and the best."""
    reports = {run.title: run.report for run in runs if run.report is not None}
    if not reports:
        return None
    main = next(iter(reports.values())).score()
    means = {
        title: {s.model: s.mean for s in report.scores if s.metric == main.metric} for title, report in reports.items()
    }
    models = list(dict.fromkeys(model for line in means.values() for model in line))
    if len(models) < 2:
        return None
    values = [v for line in means.values() for v in line.values()]
    worst, best = (min(values), max(values)) if main.higher_is_better else (max(values), min(values))
    lines = [
        {
            "name": title,
            "means": means[title],
            "parts": {model: abs(v - worst) / (abs(best - worst) or 1) for model, v in means[title].items()},
            "transfer": report.transfer(main.metric) if means[title] else None,
        }
        for title, report in reports.items()
    ]
    return {"metric": main.metric, "models": models, "lines": lines}
