"""Options: pydantic models of plain values, checked strictly, with errors a user can act on. Imports no torch."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from .errors import OptionError, choices

__all__ = ["Options", "describe", "model_of", "parse_assignment", "resolve", "to_toml"]


class Options(BaseModel):
    """The base of every method's and problem's options: frozen, and an unknown key is an error.

    TOML has no None, so a field that accepts None has it as its default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


O = TypeVar("O", bound=Options)  # noqa: E741 - the options model that came in goes out


def model_of(function: Callable[..., Any]) -> type[Options]:
    """The options that a factory takes: one field per typed keyword parameter, `data` left out.

    An annotation may be `Annotated[int, Field(ge=8, description="side in pixels")]`. Raises TypeError for a factory
    that cannot be described so; that is its author's to mend.
    """
    found = {k: p for k, p in inspect.signature(function).parameters.items() if k != "data"}
    name = getattr(function, "__qualname__", repr(function))
    for parameter in found.values():
        starred = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if starred or parameter.annotation is parameter.empty:
            raise TypeError(f"{name}: every option is a typed parameter of its own, and {parameter} is not")
    written = types.SimpleNamespace(__annotations__={k: p.annotation for k, p in found.items()})
    try:
        hints = typing.get_type_hints(written, getattr(function, "__globals__", {}), include_extras=True)
    except NameError as error:
        raise TypeError(f"{name}: {error}; what its annotations name must be imported at run time") from error
    fields: dict[str, Any] = {k: (hints[k], ... if p.default is p.empty else p.default) for k, p in found.items()}
    return create_model(name, __base__=Options, __doc__=inspect.getdoc(function), **fields)


def resolve(model: type[O], values: Mapping[str, Any], owner: str) -> O:
    """The options with `values` set and defaults for the rest.

    Types are strict: 1 is a number, but "1", true and 1.0 are no integers. Raises OptionError, which names every wrong
    value of `owner` ("method dm") at once.
    """
    try:
        given = to_json(dict(values), inf_nan_mode="constants")
    except PydanticSerializationError as error:
        raise OptionError(f"{owner}: options are numbers, text, booleans, lists and tables. {error}") from error
    try:
        return model.model_validate_json(given, strict=True)
    except ValidationError as error:
        wrong: dict[str, str] = {}  # a union reports one error per member: one line per key is enough
        for e in error.errors():
            key = str(e["loc"][0]) if e["loc"] else ""
            wrong.setdefault(key, _explain(model, key, e["type"], e["msg"], values.get(key)))
    lines = list(wrong.values())
    if len(lines) == 1:
        raise OptionError(f"{owner}: {lines[0]}")
    raise OptionError("\n  ".join([f"{owner}: {len(lines)} options are wrong", *lines]))


def _explain(model: type[Options], key: str, kind: str, message: str, given: object) -> str:
    """One line: what was given, what is expected, the default."""
    field = model.model_fields.get(key)
    if kind in ("value_error", "assertion_error"):  # a validator's own words
        said = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"{key} = {given!r}: {said}" if field else said
    if field is None:
        valid = list(model.model_fields)
        return f"no option {key!r}.{choices(key, valid) if valid else ' It has none.'}"
    if kind == "missing" and given is None:
        return f"{key} is needed: {_expected(field)}"
    default = "" if field.is_required() else f" (default {_plain(to_jsonable_python(_default(field)))})"
    return f"{key} = {_plain(given)}: expected {_expected(field)}{default}"


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def parse_assignment(text: str) -> tuple[str, Any]:
    """`key=value` of a `--set`: the value is TOML (`0.1`, `true`, `[1, 2]`), or else the text as it stands."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise OptionError(f"--set {text}: expected key=value, such as --set lr=0.1")
    try:
        found = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value
    return key, found["value"] if len(found) == 1 else value


def describe(model: type[Options]) -> list[dict[str, Any]]:
    """A row of plain values per option: its name, type in words, whether it is required, default, description."""
    return [
        {
            "name": name,
            "type": _expected(field),
            "required": field.is_required(),
            "default": None if field.is_required() else to_jsonable_python(_default(field)),
            "description": field.description or "",
        }
        for name, field in model.model_fields.items()
    ]


# ---------------------------------------------------------------------------------------------------------------------
# types in words

_WORDS = {int: "integer", float: "number", bool: "true or false", str: "text", Path: "path", type(None): "none"}
_LIMITS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "pattern": "matching {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
}


def _expected(field: FieldInfo) -> str:
    return _words(field.annotation) + _limits(field.metadata)


def _words(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        nested = (a.metadata if isinstance(a, FieldInfo) else [a] for a in args[1:])
        return _words(args[0]) + _limits(m for metadata in nested for m in metadata)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args)) if len(args) > 1 else _plain(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(_words(a) for a in args)
    if origin in (list, tuple, set, frozenset, Sequence, Iterable):
        if origin is tuple and args[-1] is not Ellipsis:
            return f"list of {len(args)}: " + ", ".join(_words(a) for a in args)
        return f"list of ({_words(args[0])})" if " " in _words(args[0]) else f"list of {_words(args[0])}s"
    if origin in (dict, Mapping):
        return f"table of {_words(args[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table of " + ", ".join(annotation.model_fields)
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits(metadata: Iterable[object]) -> str:
    found = [(k, v) for m in metadata for k in _LIMITS if (v := getattr(m, k, None)) is not None]
    return " " + " and ".join(_LIMITS[k].format(v) for k, v in found) if found else ""


# ---------------------------------------------------------------------------------------------------------------------
# TOML


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML text that `tomllib` reads back as the same plain values: text, numbers, booleans, lists, tables.

    None, which TOML cannot say, is left out; tuples become lists and paths text.
    """
    return "\n".join(_tables(values, ())).lstrip("\n") + "\n"


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    inner = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    plain = {k: v for k, v in table.items() if k not in inner and v is not None}
    if path and (plain or not inner):
        yield f"\n[{'.'.join(map(_key, path))}]"
    yield from (f"{_key(k)} = {_plain(v)}" for k, v in plain.items())
    for k, v in inner.items():
        yield from _tables(v, (*path, k))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _plain(key)


def _plain(value: Any) -> str:
    """One value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value + 0)  # a subclass of the builtin writes like the builtin
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_plain(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if value is None:
        return "none"
    raise TypeError(f"TOML holds text, numbers, booleans, lists and tables, not {type(value).__name__}")
