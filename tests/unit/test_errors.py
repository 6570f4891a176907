"""Errors: one base class, the builtin that fits, close matches."""

import builtins
import inspect

import pytest

from ddcore import errors


def test_every_error_has_one_base():
    found = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, Exception)]
    assert all(issubclass(e, errors.DDCoreError) for e in found)
    assert {e.__name__ for e in found} <= set(errors.__all__)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("UnknownName", "LookupError"),
        ("OptionError", "ValueError"),
        ("BudgetError", "ValueError"),
        ("DataError", "ValueError"),
        ("ArtifactError", "ValueError"),
        ("Diverged", "ArithmeticError"),
    ],
)
def test_errors_are_also_the_builtin_that_a_caller_would_catch(error, builtin):
    assert issubclass(getattr(errors, error), getattr(builtins, builtin))


def test_choices():
    assert errors.choices("herdign", ["herding", "random"]) == " Did you mean herding? Valid choices: herding, random."
    assert errors.choices("xyz", ["herding", "random"]) == " Valid choices: herding, random."
    assert errors.choices("xyz", []) == ""
    close = errors.choices("convnet1", ["convnet3", "convnet2", "mlp"])
    assert "Did you mean convnet" in close


def test_diverged_may_carry_the_last_good_state():
    assert errors.Diverged("x").artifact is None
