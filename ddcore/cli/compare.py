"""`ddcore compare`: a sweep file in, one table out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .group import debug_option
from .listing import json_option, print_json
from .progress import Progress
from .request import device_option, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

__all__ = ["compare"]


EXAMPLES = """\b
Example: sweep.toml holds
  problems = ["image/digits"]
  methods = ["dm", "dc"]
  ipc = [1, 10]
  distillations = 3      # independent runs of each cell (1; of random 5)
  seeds = 5              # networks each is scored with (5)
  # also: ratio, preset, steps, protocol, models
  [options.dm]           # options by method, or by problem
  lr = 0.5
and
  ddcore compare sweep.toml --out table --jobs 2
"""


@click.command(short_help="Runs a sweep of problems and methods into a table.", epilog=EXAMPLES)
@click.argument("sweep", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Cells at a time.")
@click.option(
    "--backend",
    type=click.Choice(["loky", "ray"]),
    default="loky",
    show_default=True,
    help="Where they run: this machine, or a Ray cluster.",
)
@device_option
@json_option
@debug_option
def compare(sweep: Path, out: Path, jobs: int, backend: Literal["loky", "ray"], device: str, as_json: bool) -> None:
    """Runs every problem, method and budget of a SWEEP file and prints one table.

    Each cell is written when it is finished; the same command goes on where it was stopped. The rows are in
    DIR/results.json, results.md, results.parquet and, as a page with charts, results.html; of several problems there is a
    picture too, results.svg. The random baseline is always among the methods.
    """
    wanted = read_toml(sweep)
    from ..budget import in_words
    from ..comparison import compare as run

    try:
        with Progress(f"comparing {sweep}", window=3600.0) as progress:  # cells differ in length
            rows = run(wanted, out, jobs=jobs, backend=backend, device=device, progress=progress.count)
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. Finished cells are kept in {out}: the same command goes on.", err=True)
        raise click.exceptions.Exit(130) from None
    written = _written(rows, out, sweep.stem)
    for row in rows:
        if "error" in row:
            click.echo(f"{row['problem']}, {row['method']}, {in_words(row)}: {row['error']}", err=True)
    if not as_json:
        from rich.console import Console

        console, found = Console(), _main([row for row in rows if "error" not in row])
        for problem in dict.fromkeys(row["problem"] for row in found):
            console.print(_table([row for row in found if row["problem"] == problem]))
        console.print(
            "mean ± standard error of the mean; bold: the best, and what a t-test (95 %) cannot tell from it",
            style="dim",
        )
    for line in written:
        click.echo(line, err=as_json)
    if as_json:
        print_json(rows)


def _written(rows: Sequence[Mapping[str, Any]], out: Path, title: str) -> list[str]:
    """Where the rows are, in each form that the libraries which are installed can write."""
    from ..errors import NotSupported
    from ..pages import comparison_page, matrix
    from ..storage import write_bytes, write_text

    lines = [f"Rows are in {out / 'results.json'} and {out / 'results.md'}."]
    try:
        write_text(out / "results.html", comparison_page(rows, title))
        lines.append(f"The page is {out / 'results.html'}.")
        if len({row["problem"] for row in rows}) > 1:
            write_text(out / "results.svg", matrix(rows, title))
            lines.append(f"The picture of all problems is {out / 'results.svg'}.")
    except NotSupported as error:
        lines.append(f"No page: {error}")
    try:
        from pyarrow import BufferOutputStream, Table, parquet
    except ImportError:
        lines.append("No Parquet file: pip install 'ddcore[hf]' brings what writes it.")
    else:
        stream = BufferOutputStream()
        columns = dict.fromkeys(key for row in rows for key in row)
        parquet.write_table(Table.from_pylist([{key: row.get(key) for key in columns} for row in rows]), stream)
        write_bytes(out / "results.parquet", stream.getvalue().to_pybytes())
        lines.append(f"A Parquet table is {out / 'results.parquet'}.")
    return lines


def _main(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of each problem's main metric, which comes first; the files hold them all."""
    first: dict[str, str] = {}
    return [row for row in rows if row["metric"] == first.setdefault(row["problem"], row["metric"])]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each row of a problem; what is the same in all of them is said once, above."""
    from rich.table import Table

    from ..budget import in_words

    names = [
        {k: str(row[k]) for k in ("problem", "model", "metric", "protocol")}
        | {"epoch": f"{row['epoch_rule']} epoch", "labels": f"labels: {row['label_kind']}"}
        | {"networks": f"{row['seeds']} networks"}
        for row in rows
    ]
    differ = [k for k in names[0] if len({n[k] for n in names}) > 1]
    table = Table(title=", ".join(v for k, v in names[0].items() if k not in differ))
    for heading in ("method", "budget", *differ):
        table.add_column(heading, overflow="fold")
    for heading in ("bytes", "mean", "beside random", "distilled in"):
        table.add_column(heading, justify="right")
    for row, name in zip(rows, names, strict=True):
        error = "" if row["stderr"] is None else f" ± {row['stderr']:.4f}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f} s"
        mean = f"[bold]{row['mean']:.4f}[/bold]{error}" if row["best"] else f"{row['mean']:.4f}{error}"
        table.add_row(
            row["method"],
            in_words(row),
            *(name[k].removeprefix(f"{k}: ") for k in differ),
            f"{row['bytes']:,}",
            mean,
            row["beside_random"],
            seconds,
        )
    return table
