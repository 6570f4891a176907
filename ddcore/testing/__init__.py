"""The conformance kit: subclass `ProblemConformance` in your own tests, give it a case, run pytest.

    class TestWaves(ProblemConformance):
        entry_module = "ddcore_series.plugin"

        @pytest.fixture
        def case(self):
            problem = ddcore.load("series/waves", n=150)
            return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))

Choose a small problem and a small set: the kit takes seconds. Needs pytest, which the core does not require.
"""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ..parametrizations.base import Synthetic
from ..plugins import Plugins
from ..problem import Problem
from .real import RealChecks
from .sets import SetChecks

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEAVY", "ProblemConformance"]

Case = tuple[Problem[Any], Synthetic[Any]]

HEAVY = frozenset(
    {
        "PIL",
        "datasets",
        "matplotlib",
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "torch",
        "torch_geometric",
        "torchaudio",
        "torchvision",
        "transformers",
    }
)
"""What an entry module may not import: `ddcore plugins` answers at once, whatever is installed."""


class ProblemConformance(RealChecks, SetChecks):
    """A problem and its parametrization keep the contract that every method relies on."""

    entry_module: ClassVar[str] = ""
    """The module that the plugin's entry point names: "ddcore_series.plugin"."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks that this problem cannot pass, each with the reason; one that passes nevertheless is a failure."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, reason in cls.expected_failures.items():
            if not callable(getattr(cls, name, None)) or not name.startswith("test_"):
                raise TypeError(f"{cls.__name__}.expected_failures: the kit has no check {name!r}")
            if not reason.strip():
                raise TypeError(f"{cls.__name__}.expected_failures: say why {name} cannot pass")

    # ------------------------------------------------------------------------------------------------ must be written

    @pytest.fixture
    def case(self) -> Case:
        """The problem, and a set of its own plain parametrization with two rows or more of each group."""
        raise NotImplementedError("write a fixture `case` that returns (problem, synthetic)")

    # ------------------------------------------------------------------------------------------------ fixtures

    @pytest.fixture(autouse=True)
    def _expected(self, request: pytest.FixtureRequest) -> None:
        reason = self.expected_failures.get(request.node.originalname)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture
    def problem(self, case: Case) -> Problem[Any]:
        """The case's problem."""
        return case[0]

    @pytest.fixture
    def synthetic(self, case: Case) -> Synthetic[Any]:
        """A copy of the case's set, so that a case may be shared by all checks."""
        return copy.deepcopy(case[1])

    @pytest.fixture
    def rng(self) -> random.Random:
        """The check's own randomness."""
        return random.Random(0)

    # ------------------------------------------------------------------------------------------------ the plugin

    def test_the_entry_module_imports_nothing_heavy(self) -> None:
        """`ddcore plugins` imports every entry module."""
        assert self.entry_module, "say which module the entry point names: entry_module = 'my_package.plugin'"
        code = f"import sys, {self.entry_module}; print(*sys.modules)"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        heavy = HEAVY & set(done.stdout.split())
        assert not heavy, f"{self.entry_module} imports {', '.join(sorted(heavy))}: import them where they are used"

    def test_every_entry_loads(self) -> None:
        """The hook is spelled right, the API number fits and every target is there."""
        assert self.entry_module, "say which module the entry point names: entry_module = 'my_package.plugin'"
        plugin = Plugins([EntryPoint("under-test", self.entry_module, "ddcore")]).plugins[-1]
        assert not plugin.error, plugin.error
        for entry in plugin.entries:
            entry.load()
