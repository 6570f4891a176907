from __future__ import annotations

import math
import random
import string
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from ddcore.errors import OptionError
from ddcore.options import Options, describe, model_of, parse_assignment, resolve, to_toml


class Inner(Options):
    steps: int = 1


class Demo(Options):
    steps: int = Field(1000, ge=1, description="updates of the set")
    lr: float = Field(0.1, gt=0, le=10)
    start: Literal["real", "noise"] = "real"
    widths: tuple[int, ...] = (128, 128)
    amortised: bool = False
    note: str | None = None
    inner: Inner = Inner()


def test_defaults_and_given_values_are_resolved():
    found = resolve(Demo, {"steps": 5, "lr": 1, "widths": [1, 2], "inner": {"steps": 3}}, "method dm")
    assert (found.steps, found.lr, found.widths, found.inner.steps) == (5, 1.0, (1, 2), 3)
    assert resolve(Demo, {}, "method dm") == Demo()
    with pytest.raises(ValueError, match="frozen"):
        found.steps = 6


def test_an_unknown_key_answers_with_close_matches_and_the_valid_ones():
    with pytest.raises(OptionError) as e:
        resolve(Demo, {"stpes": 5}, "method dm")
    assert str(e.value).startswith("method dm: no option 'stpes'. Did you mean steps? Valid choices: amortised,")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": "many"}, 'steps = "many": expected integer >= 1 (default 1000)'),
        ({"steps": "5"}, 'steps = "5": expected integer >= 1 (default 1000)'),
        ({"steps": True}, "steps = true: expected integer >= 1 (default 1000)"),
        ({"steps": 2.5}, "steps = 2.5: expected integer >= 1 (default 1000)"),
        ({"steps": 0}, "steps = 0: expected integer >= 1 (default 1000)"),
        ({"lr": 11}, "lr = 11: expected number > 0 and <= 10 (default 0.1)"),
        ({"start": "random"}, 'start = "random": expected one of real, noise (default "real")'),
        ({"widths": [1, "a"]}, 'widths = [1, "a"]: expected list of integers (default [128, 128])'),
        ({"widths": 3}, "widths = 3: expected list of integers (default [128, 128])"),
        ({"note": 3}, "note = 3: expected text or none (default none)"),
        ({"amortised": "yes"}, 'amortised = "yes": expected true or false (default false)'),
    ],
)
def test_a_wrong_value_says_what_was_given_expected_and_the_default(values: dict[str, Any], said: str):
    with pytest.raises(OptionError) as e:
        resolve(Demo, values, "method dm")
    assert str(e.value) == f"method dm: {said}"


def test_all_wrong_options_are_in_one_message():
    with pytest.raises(OptionError) as e:
        resolve(Demo, {"steps": 0, "lr": "x", "colour": 1}, "method dm")
    first, *lines = str(e.value).splitlines()
    assert first == "method dm: 3 options are wrong"
    assert [line.split()[0] for line in lines] == ["steps", "lr", "no"]


def test_a_missing_option_and_a_validator_speak_for_themselves():
    class Pair(Options):
        low: int
        high: int = 3

        @model_validator(mode="after")
        def ordered(self) -> Pair:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    with pytest.raises(OptionError, match=r"^pair: low is needed: integer$"):
        resolve(Pair, {}, "pair")
    with pytest.raises(OptionError, match=r"^pair: low is above high$"):
        resolve(Pair, {"low": 4}, "pair")


def test_an_object_is_no_option():
    with pytest.raises(OptionError, match="method dm: options are numbers, text"):
        resolve(Demo, {"note": object()}, "method dm")


def factory(
    data: Path | None = None,
    *,
    size: Annotated[int, Field(ge=8, description="side in pixels")] = 32,
    grey: bool = False,
    only: tuple[str, ...] = (),
) -> NotImportedHere:  # noqa: F821 - the annotation of what comes back is not looked at
    """Pictures."""


def test_a_factorys_parameters_are_its_options():
    model = model_of(factory)
    assert list(model.model_fields) == ["size", "grey", "only"]
    assert resolve(model, {"only": ["a"]}, "image/folder").model_dump() == {"size": 32, "grey": False, "only": ("a",)}
    with pytest.raises(OptionError, match=r"^image/folder: size = 4: expected integer >= 8 \(default 32\)$"):
        resolve(model, {"size": 4}, "image/folder")
    with pytest.raises(OptionError, match="no option 'data'"):
        resolve(model, {"data": "x"}, "image/folder")
    assert describe(model)[0] == {
        "name": "size", "type": "integer >= 8", "required": False, "default": 32, "description": "side in pixels",
    }  # fmt: skip


def test_a_factory_without_options_says_so():
    with pytest.raises(OptionError, match=r"no option 'size'\. It has none\."):
        resolve(model_of(lambda: None), {"size": 1}, "series/waves")


@pytest.mark.parametrize("bad", [lambda x: x, lambda *args: args, lambda **options: options])
def test_an_untyped_factory_is_its_authors_error(bad: Any):
    with pytest.raises(TypeError, match="every option is a typed parameter"):
        model_of(bad)


def test_types_are_described_in_words():
    class Words(Options):
        a: Path
        b: tuple[int, float] = (1, 2.0)
        c: list[Annotated[int, Field(gt=0)]] = Field(default_factory=list)
        d: dict[str, float] = Field(default_factory=dict)
        e: Annotated[str, Field(min_length=1)] | None = None
        f: Inner = Inner()

    assert [row["type"] for row in describe(Words)] == [
        "path", "list of 2: integer, number", "list of (integer > 0)", "table of number",
        "text at least 1 long or none", "table of steps",
    ]  # fmt: skip
    assert describe(Words)[0]["required"]
    assert [row["default"] for row in describe(Words)] == [None, [1, 2.0], [], {}, None, {"steps": 1}]
    with pytest.raises(OptionError, match=r"f = 3: expected table of steps \(default \{steps = 1\}\)"):
        resolve(Words, {"a": ".", "f": 3}, "words")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("lr=0.1", "lr", 0.1),
        ("steps = 10", "steps", 10),
        ("blocks=[1,2]", "blocks", [1, 2]),
        ("start=noise", "start", "noise"),
        ('start="noise"', "start", "noise"),
        ("grey=true", "grey", True),
        ("problem.size=64", "problem.size", 64),
        ("note=a=b", "note", "a=b"),
        ("note=", "note", ""),
        ("note=1 2", "note", "1 2"),
        ("root=/data/my set", "root", "/data/my set"),
        ("lr=1\nsteps=2", "lr", "1\nsteps=2"),
    ],
)
def test_assignments_are_toml_or_text(text: str, key: str, value: Any):
    found = parse_assignment(text)
    assert found == (key, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize("text", ["lr", "=1", ""])
def test_an_assignment_needs_a_key_and_a_value(text: str):
    with pytest.raises(OptionError, match="expected key=value"):
        parse_assignment(text)


def test_toml_is_read_back_the_same():
    values = {
        "text": 'tab\t "quote" \\ line\n é \x7f \x00',
        "": "empty key",
        "a.b c": 1,
        "floats": [0.1, 1e-30, 1e300, -0.0, math.inf],
        "flags": [True, False],
        "nested": [[1, 2], [], [{"x": 1, "y": [{"z": "w"}]}]],
        "table": {"inner": {"deep": {"k": 1}}, "after": 2},
        "empty": {},
        "last": 3,
    }
    assert tomllib.loads(to_toml(values)) == values


def test_toml_of_random_trees_is_read_back_the_same():
    rng = random.Random(0)

    def text() -> str:
        return "".join(rng.choice(string.printable + "äß€😀\x00\x1f\x7f") for _ in range(rng.randrange(6)))

    def tree(depth: int) -> Any:
        kinds: list[Any] = [text, rng.random, lambda: rng.randrange(-9, 9), lambda: rng.random() < 0.5]
        if depth:
            kinds += [lambda: [tree(depth - 1) for _ in range(3)], lambda: {text(): tree(depth - 1) for _ in range(3)}]
        return rng.choice(kinds)()

    for _ in range(300):
        values = {text(): tree(3) for _ in range(4)}
        assert tomllib.loads(to_toml(values)) == values


def test_toml_leaves_none_out_and_writes_resolved_options():
    found = resolve(Demo, {"lr": 0.5}, "method dm")
    written = to_toml(found.model_dump())
    assert "note" not in written
    assert resolve(Demo, tomllib.loads(written), "method dm") == found
    assert tomllib.loads(to_toml({"path": Path("a") / "b", "pair": (1, 2)})) == {"path": "a/b", "pair": [1, 2]}


def test_options_need_no_torch():
    code = "import sys, ddcore.options; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
