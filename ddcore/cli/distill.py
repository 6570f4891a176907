"""`ddcore distill`: a problem and a method in, a distilled set in a folder out."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from .group import Failure, debug_option
from .progress import Progress
from .request import Request, request_options

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..loop import Callback

__all__ = ["distill"]


EXAMPLES = """\b
Examples:
  ddcore distill image/digits --method dm --ipc 10 --out digits-dm-10
  ddcore distill image/folder --data photos --set problem.size=64 \\
         --method dm --ipc 1 --set lr=0.5 --out photos-dm-1
  ddcore distill --config digits-dm-10/run.toml --seed 1 --out again
"""


@click.command(short_help="Distils a problem into a folder.", epilog=EXAMPLES)
@request_options
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Folder for the result.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of the same run.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that train the experts a method needs, once: they are cached.",
)
@click.option(
    "--backend",
    type=click.Choice(["loky", "ray"]),
    default="loky",
    show_default=True,
    help="Where they run: this machine, or a Ray cluster.",
)
@click.option(
    "--log", metavar="FILE", type=click.Path(path_type=Path), help="A line of JSON for each update, as it goes."
)
@click.option("--tensorboard", metavar="DIR", type=click.Path(path_type=Path), help="Scalars for TensorBoard.")
@debug_option
def distill(
    out: Path,
    resume: bool,
    jobs: int,
    backend: Literal["loky", "ray"],
    log: Path | None,
    tensorboard: Path | None,
    **flags: Any,
) -> None:
    """Distils PROBLEM into a small set of rows and writes it to a folder.

    The budget is one of --ipc, --ratio and --bytes. The resolved options are written to DIR/run.toml, and
    `--config DIR/run.toml` does the same run again. A run that was stopped goes on with --resume.
    """
    wanted = Request.of(**flags)
    from ..distillation import distill as run
    from ..errors import Diverged
    from ..trackers import JsonLines, TensorBoard

    trackers: list[Callback] = [] if log is None else [JsonLines(log)]
    if tensorboard is not None:
        trackers.append(TensorBoard(tensorboard))
    try:
        with Progress(f"{wanted.method} on {wanted.problem}") as progress:
            artifact = run(
                wanted.load(),
                wanted.method,
                **wanted.arguments(),
                data=wanted.data,
                out=out,
                resume=resume,
                callbacks=[progress.step, *trackers],
                jobs=jobs,
                backend=backend,
                progress=progress.count,
            )
    except Diverged as error:
        raise _diverged(error, out) from error
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted. {_how_to_resume(out)}", err=True)
        raise click.exceptions.Exit(130) from None
    _say(artifact, out)


def _say(artifact: Artifact, out: Path) -> None:
    losses = [r["loss"] for r in artifact.history if not math.isnan(r.get("loss", math.nan))]  # nan: no update was made
    picture, last = artifact.manifest["picture"], losses[-1] if losses else None
    method = artifact.manifest["method"]
    what = f"{artifact.rows} rows, {artifact.bytes:,} bytes" + ("" if last is None else f", last loss {last:.4g}")
    click.echo(f"{artifact.manifest['problem']['name']} by {method['name']} ({method['preset']}): {what}")
    click.echo(f"  set      {out}")
    if picture is not None:
        click.echo(f"  picture  {out / picture}")
    click.echo(f"Next: {shlex.join(['ddcore', 'evaluate', str(out)])}")


def _diverged(error: Any, out: Path) -> Failure:
    message = str(error)
    if error.artifact is not None:
        saved = out.with_name(f"{out.name}-last-good")
        error.artifact.save(saved, overwrite=True)
        message += f". The last good state is saved in {saved}"
    return Failure(message)


def _how_to_resume(out: Path) -> str:
    run = out.with_name(f"{out.name}.partial") / "run.toml"
    if not run.is_file():
        return "The run had not begun; nothing was written."
    if not (run.parent / "checkpoint-0").exists():
        return "There was no checkpoint yet: start again with the same command."
    words = ["ddcore", "distill", "--config", str(run), "--out", str(out), "--resume"]
    return f"Go on with:\n  {shlex.join(words)}"
