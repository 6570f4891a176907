"""`ddcore show`: what is in a distilled set, and where its picture is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..card import properties_in_words
from .group import debug_option
from .listing import print_pairs
from .problem_of import data_option, problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..artifact import Artifact

__all__ = ["show"]


EXAMPLES = """\b
Example:
  ddcore show digits-dm-10
"""


@click.command(short_help="Says what is in a distilled set, and where its picture is.", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@data_option
@click.option("--out", metavar="PATH", type=click.Path(path_type=Path), help="Draw the picture anew, into this folder.")
@debug_option
def show(folder: Path, data: str | None, out: Path | None) -> None:
    """Says what is in the set in DIR, how it was made, and where its picture is; a picture in words is printed."""
    from ..artifact import open as open_artifact

    artifact = open_artifact(folder)
    print_pairs(_summary(artifact))
    picture = artifact.manifest["picture"]
    if out is not None:
        click.echo(f"\nPicture: {_draw(artifact, data, out)}")
    elif picture is not None:
        click.echo(f"\nPicture: {folder / picture}")
        if picture.endswith(".txt"):
            click.echo(f"\n{(folder / picture).read_text('utf-8').rstrip()}")
    else:
        click.echo(f"\n{artifact.manifest['problem']['name']} draws no pictures of its sets.")


def _draw(artifact: Artifact, data: str | None, out: Path) -> Path:
    from ..errors import NotSupported

    problem = problem_of(artifact, data)
    if problem.render is None:
        raise NotSupported(f"{problem.name} draws no pictures of its sets")
    out.mkdir(parents=True, exist_ok=True)
    return problem.render(artifact.synthetic(problem), out)


def _summary(artifact: Artifact) -> dict[str, str]:
    m = artifact.manifest
    method, parts, steps = m["method"], dict(m["bytes"]), m["step_sizes"]
    total = parts.pop("total")
    counts = set(m["counts"].values())
    each = f"{counts.pop()} each" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    facts = {
        "problem": m["problem"]["name"],
        "problem options": _options(m["problem"]["options"]),
        "method": method["name"] + (f", preset {method['preset']}" if method["preset"] else ""),
        "options": _options(method["options"]) or "none",
        "paper": method["paper"] or "none",
        "budget": _options(m["budget"]),
        "rows": f"{artifact.rows} in {len(m['counts'])} group{'s' if len(m['counts']) > 1 else ''}, {each}",
        "bytes": f"{total:,}: " + ", ".join(f"{part} {n:,}" for part, n in parts.items()),
        "labels": m["label_kind"],
        "properties": properties_in_words(m.get("properties", {})),
        "step sizes": "the protocol's" if steps is None else _steps(steps),
        "preprocessing": m["preprocessing"]["name"],
        "protocol": m["recipe"],
        "seed": str(m["seed"]),
        "made by": f"ddcore {m['versions']['ddcore']}, torch {m['versions']['torch']}",
        "files": ", ".join(sorted({*m["files"], "manifest.json", *artifact.notes})),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in options.items() if v is not None)


def _steps(sizes: list[float]) -> str:
    each = f"{sizes[0]:.4g}" if len(sizes) == 1 else f"{len(sizes)} from {min(sizes):.4g} to {max(sizes):.4g}"
    return f"learned, {each}"
