"""Each page does what it shows: its Python blocks and `ddcore` commands run, in order, in an empty folder.

Runs are cut to a few updates and one network; the arguments are those of the page. A command that is shown with an
`Error:` must end with that error. A block under `<!-- NAME -->` is the file of that name.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from own_data import MAKERS
from toys import image

from ddcore.cli import main
from ddcore.errors import DDCoreError
from ddcore.methods import Method
from ddcore.plugins import installed
from ddcore.recipes import Recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONCEPTS, METHODS = sorted((DOCS / "concepts").glob("*.md")), sorted((DOCS / "methods").glob("*.md"))
PAGES = [page for page in (ROOT / "README.md", DOCS / "index.md", DOCS / "tutorial.md") if page.exists()]
PAGES += CONCEPTS + METHODS + sorted(ROOT.glob("plugins/*/README.md"))
SHELLS = ("bash", "console", "sh", "shell")
BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRESETS = re.compile(r"<!-- presets: (\S+) -->\n((?:\|.*\n)+)")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------------------------------------------------------------
# what is shown runs


@pytest.fixture(scope="session")
def pages_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one page has cached serves the next."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch, pages_cache: Path) -> Iterator[None]:
    """Two updates and two training steps, wherever a page asks for more."""
    resolve, most = Method.resolve, {"steps": 2, "epochs": 1, "pool": 1, "n_real": 16, "experts": 1, "train_epochs": 2}

    def resolved(self, *args, **kwargs):
        options = resolve(self, *args, **kwargs)
        return options.model_copy(
            update={k: min(getattr(options, k), n) for k, n in most.items() if hasattr(options, k)}
        )

    monkeypatch.setattr(Method, "resolve", resolved)
    monkeypatch.setattr(Recipe, "steps", lambda self, rows: 2)
    monkeypatch.setenv("DDCORE_CACHE", str(pages_cache))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_shows_runs(page: Path, hurry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = page.read_text("utf-8")
    blocks = [(file, language, code) for file, language, code in BLOCK.findall(text)]
    shown = "".join(code for _, language, code in blocks if language in ("python", "toml", *SHELLS))
    needs_plugins(shown)
    for name, make in MAKERS.items():
        if re.search(rf"(--data |data=\"|\"image/folder\", \"){re.escape(name)}\b", shown):
            make(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for file, language, code in blocks:
        if file:
            Path(file).write_text(code, "utf-8")
        elif language == "python":
            exec(compile(code, named(page), "exec"), names)
        elif language in SHELLS:
            for command, printed in commands(code):
                run(command, printed)


def needs_plugins(shown: str) -> None:
    """The page is skipped where a plugin whose problems it distils is not installed."""
    for name in ["image/digits"] * ("image/" in shown) + re.findall(r'(?:ddcore distill |load\(")(\w+/[\w-]+)', shown):
        try:
            installed().find("problem", name).load()
        except DDCoreError as error:
            pytest.skip(f"the page needs {name}: {error}")


def commands(code: str) -> Iterator[tuple[list[str], str]]:
    """The `ddcore` commands of a block, each with what is printed below it; without prompts each line is a command."""
    code = code.replace("\\\n", " ")
    prompts = re.search(r"^\$ ", code, flags=re.MULTILINE)
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE) if prompts else code.splitlines():
        line, _, printed = part.partition("\n")
        words = shlex.split(line, comments=True)
        if words[:3] == ["python", "-m", "ddcore"]:
            words = words[2:]
        if words[:1] == ["ddcore"]:
            yield words[1:], printed


def run(words: list[str], printed: str) -> None:
    if "--jobs" in words:  # other processes would not hurry
        at = words.index("--jobs")
        words = words[:at] + words[at + 2 :]
    if words[0] == "evaluate" and "--seeds" not in words:
        words = [*words, "--seeds", "1"]
    result = CliRunner().invoke(main, words)
    failure = re.search(r"^Error: .*", printed, flags=re.MULTILINE | re.DOTALL)
    output = " ".join(result.output.split())
    if failure is None:
        assert result.exit_code == 0, f"ddcore {shlex.join(words)}: {result.output}"
    else:
        assert result.exit_code in (1, 2), output
        assert " ".join(failure[0].split()) in output


# ---------------------------------------------------------------------------------------------------------------------
# what is said holds


@pytest.mark.parametrize("page", METHODS, ids=named)
def test_the_presets_of_a_page_are_those_of_the_code(page: Path):
    """A table under `<!-- presets: METHOD -->`: a column per preset and ipc, a row per option."""
    for name, table in PRESETS.findall(page.read_text("utf-8")):
        method = replace(installed().find("method", name).load(), refuses=lambda problem: None)
        heads, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        for at, head in enumerate(heads[1:], start=1):
            preset, ipc = re.fullmatch(r"(\w+), ipc (\d+)", head).groups()
            options = method.resolve(image(), dict.fromkeys(range(3), int(ipc)), preset)
            said = {row[0].strip("`"): row[at] for row in rows}
            assert said == {key: f"{getattr(options, key):,}" if isinstance(getattr(options, key), int)
                            else str(getattr(options, key)) for key in said}  # fmt: skip


def test_every_method_has_its_options_on_a_page():
    told = {name for page in METHODS for name, _ in PRESETS.findall(page.read_text("utf-8"))}
    with_options = {e.name for e in installed().entries("method") if "steps" in e.load().options.model_fields}
    assert with_options <= told


@pytest.mark.parametrize("page", sorted({*DOCS.glob("*.md"), *PAGES}), ids=named)
def test_links_between_pages_lead_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    assert not missing
