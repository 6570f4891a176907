"""The house: imports run downward, the core knows no plugin, and `import ddcore` is light."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ddcore

ROOT = Path(ddcore.__file__).parent
PLUGINS = ("ddcore_audio", "ddcore_graph", "ddcore_image", "ddcore_recommender", "ddcore_text", "ddcore_series")

FLOORS = [
    {"plugins"},
    {"errors", "seeds", "storage", "options", "imports", "problem", "recipes", "labels", "parametrizations", "rows"}
    | {"budget", "cache", "devices", "checkpoint", "kernels", "intervals", "splits", "hub", "packing", "parallel"}
    | {"allocator", "layers"},
    {"inner", "distributed", "experts", "report", "card", "artifact", "ceilings"},
    {"loop", "fairness", "trackers"},
    {"objectives", "selection"},
    {"methods"},
    {"distillation", "baselines", "evaluation", "problems", "exporters", "importers"},
    {"comparison", "estimation", "testing", "pages"},
    {"cli", "builtin", "__main__"},
]
"""From the ground up, by the first part of a module's name; a set is one floor. `__init__` gives names lazily."""

UPWARD = {
    ("plugins.manager", "builtin"): "the core's own entries are read like any plugin's",
    ("plugins.manager", "problems"): "`load` is a facade: it imports when a problem is built",
    ("plugins.manager", "errors"): "errors stand on nothing",
    ("plugins.spec", "errors"): "errors stand on nothing",
    ("plugins.spec", "methods.base"): "what an entry of the kind method names must be one",
}
"""What may look upward, and why; none of it imports torch when ddcore.plugins is imported."""

LEVEL = {name: k for k, floor in enumerate(FLOORS) for name in floor}


def modules():
    return sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """(dotted module under ddcore or a foreign one, whether it is inside a function) of each import that runs."""
    here = ("ddcore", *path.relative_to(ROOT).with_suffix("").parts)
    package = here[:-1]  # of a module and of an __init__ alike
    found = []

    def visit(node, deferred):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for other in child.orelse:
                    visit(other, deferred)
                continue
            if isinstance(child, ast.Import):
                found.extend((alias.name, deferred) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else ()
                target = [*base, *(child.module.split(".") if child.module else [])]
                for alias in child.names:
                    whole = ".".join([*target, alias.name])
                    is_module = (ROOT.parent / whole.replace(".", "/")).with_suffix(".py").is_file() or (
                        ROOT.parent / whole.replace(".", "/")
                    ).is_dir()
                    found.append((whole if is_module else ".".join(target), deferred))
            visit(child, deferred or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))

    visit(ast.parse(path.read_text()), False)
    return found


def test_every_module_has_its_floor():
    assert {name(p).partition(".")[0] for p in modules()} <= set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=name)
def test_no_import_runs_upward(path):
    mine = name(path)
    for target, _ in imports(path):
        if target.partition(".")[0] != "ddcore" or target == "ddcore":
            continue
        other = target.removeprefix("ddcore.")
        if (mine, other) in UPWARD:
            continue
        up = LEVEL[other.partition(".")[0]] > LEVEL[mine.partition(".")[0]]
        assert not up, f"{mine} imports {other}, which stands above it"


def test_no_exception_is_left_over():
    used = {(name(p), target.removeprefix("ddcore.")) for p in modules() for target, _ in imports(p)}
    assert set(UPWARD) <= used


def test_there_are_no_circles():
    """Among imports that run when a module is imported."""
    graph = {}
    for p in modules():
        graph[name(p)] = {
            t.removeprefix("ddcore.") for t, deferred in imports(p) if t.startswith("ddcore.") and not deferred
        }
    state = {}

    def visit(node, path):
        assert state.get(node) != "open", " -> ".join([*path, node])
        if node in state:
            return
        state[node] = "open"
        for other in graph.get(node, ()):
            if other != node:
                visit(other, [*path, node])
        state[node] = "done"

    for node in graph:
        visit(node, [])


@pytest.mark.parametrize("path", modules(), ids=name)
def test_the_core_knows_no_plugin(path):
    assert not {t for t, _ in imports(path) if t.partition(".")[0] in PLUGINS}


def run(code):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT.parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "module", ["ddcore", "ddcore.plugins", "ddcore.builtin", "ddcore.options", "ddcore.methods.dm"]
)
def test_importing_it_imports_no_torch(module):
    loaded = set(run(f"import sys, {module}; print(*sys.modules)"))
    assert not loaded & {"torch", "numpy", "pandas", "scipy", "matplotlib", "datasets", "safetensors"}


def test_the_names_of_ddcore():
    assert dir(ddcore) == sorted([*ddcore.__all__, "__version__"])
    for each in ddcore.__all__:
        assert getattr(ddcore, each) is not None
    assert callable(ddcore.distill)
    assert callable(ddcore.open)
    with pytest.raises(AttributeError, match="module 'ddcore' has no attribute 'distil'"):
        ddcore.distil


def test_functions_are_not_shadowed_by_modules():
    """`ddcore.evaluate` stays a function after every module has been imported."""
    names = " ".join(f"ddcore.{name(p)}," for p in modules() if name(p) not in ("__main__", "testing", "exporters"))
    kinds = run(f"import {names.rstrip(',')}\nprint(*(type(getattr(ddcore, n)).__name__ for n in ddcore.__all__))")
    assert "module" not in kinds


def public(tree):
    """The `__all__` of a module, where it has one."""
    return [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]


@pytest.fixture(scope="module")
def offered():
    """module of the core -> its public names and its modules"""
    found = {"ddcore": set(ddcore.__all__)}
    for path in modules():
        whole = f"ddcore.{name(path)}"
        found.setdefault(whole, set()).update(*public(ast.parse(path.read_text())))
        parent, _, own = whole.rpartition(".")
        found.setdefault(parent, set()).add(own)
    return found


@pytest.mark.parametrize("package", PLUGINS[:-1])
def test_a_plugin_imports_public_names_of_the_core_and_no_other_plugin(package, offered):
    files = sorted((ROOT.parent / "plugins" / package.replace("_", "-") / package).rglob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                whole, names = node.module, {alias.name for alias in node.names}
                assert whole.partition(".")[0] not in {*PLUGINS} - {package}, f"{path.name} imports {whole}"
                assert whole not in offered or names <= offered[whole], (
                    f"{path.name}: {whole}, {names - offered[whole]}"
                )


@pytest.mark.parametrize("path", modules(), ids=name)
def test_public_names_are_listed_and_there(path):
    tree = ast.parse(path.read_text())
    if name(path) in ("__main__", "builtin"):
        return
    listed = public(tree)
    if not listed and path.name == "__init__.py":
        return
    assert listed, "say what is public: __all__"
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    defined |= {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    defined |= {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}
    defined |= {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(listed[0]) <= defined
