"""`ddcore evaluate`: fresh networks on a distilled set, beside random real rows and all of them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .group import debug_option
from .listing import json_option, print_json
from .problem_of import data_option, problem_of
from .progress import Progress
from .request import device_option

__all__ = ["evaluate"]


EXAMPLES = """\b
Examples:
  ddcore evaluate digits-dm-10
  ddcore evaluate digits-dm-10 --model convnet --model mlp --seeds 10 --json
  ddcore evaluate digits-dm-10 --baseline herding --baseline k-center
"""


@click.command(short_help="Scores a distilled set by fresh networks.", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR")
@data_option
@click.option("--model", "models", multiple=True, metavar="NAME", help="Network; may be repeated. [default: first]")
@click.option("--seeds", default=5, show_default=True, metavar="N", help="Networks of each model.")
@click.option("--protocol", metavar="NAME", help="How they are trained: matching@1 ... [default: the problem's]")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="METHOD",
    help="Also score rows that this selection method picks: herding, k-center ...; may be repeated. Random rows always are.",
)
@click.option("--ceiling", is_flag=True, help="Train a network on all rows too, however long that takes; it is cached.")
@click.option(
    "--ceiling-seeds", type=click.IntRange(min=1), metavar="N", help="That many of these networks. [default: 1]"
)
@click.option(
    "--fair", is_flag=True, help="Fair scores too: robust to labels and to augmentation; trains more networks."
)
@click.option(
    "--search-lr", is_flag=True, help="The set and random rows each get the learning rate that is best on val."
)
@click.option(
    "--corrupted", is_flag=True, help="Also score on corrupted test rows, where the problem names corruptions."
)
@device_option
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that share the networks.",
)
@json_option
@debug_option
def evaluate(
    folder: str,
    data: str | None,
    models: tuple[str, ...],
    seeds: int,
    protocol: str | None,
    baselines: tuple[str, ...],
    ceiling: bool,
    ceiling_seeds: int | None,
    fair: bool,
    search_lr: bool,
    corrupted: bool,
    device: str,
    jobs: int,
    as_json: bool,
) -> None:
    """Trains fresh networks on the set in DIR and scores them on the test split.

    Beside each score stand random real rows of the same number under the same protocol and, where it is known, the
    score of training on all rows. The report is written to DIR/scores.json.
    """
    from ..artifact import open as open_artifact
    from ..evaluation import evaluate as run
    from ..storage import write_text

    artifact = open_artifact(folder)
    with Progress(f"evaluating {folder}") as progress:
        report = run(
            artifact,
            problem_of(artifact, data),
            models=models,
            seeds=seeds,
            protocol=protocol,
            baselines=baselines,
            ceiling=ceiling_seeds or int(ceiling),
            fair=fair,
            search_lr=search_lr,
            corrupted=corrupted,
            device=device,
            jobs=jobs,
            progress=progress.count,
        )
    found = report.to_json()
    if as_json:
        print_json(found)
    else:
        from rich.console import Console

        report.print(Console())
    write_text(Path(folder) / "scores.json", json.dumps(found, indent=1) + "\n")
