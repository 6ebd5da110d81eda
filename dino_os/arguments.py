"""
Arguments for a skill, checked against its signature before anything runs.

Values come as text (options of a command line) or as JSON (`--params`, models, schedules); both end
as what the annotation asks for, or as an error that names the parameter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from dino_os.errors import InvalidInput
from dino_os.skill_index import Parameter, Skill
from engines.checks import did_you_mean

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "Path": (str,),
}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def bind(skill: Skill, given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return *given* checked and complete, as the function will get it.

    Raises:
        InvalidInput: A parameter is missing, unknown, or of the wrong type.
    """
    known = {parameter.name: parameter for parameter in skill.parameters}
    for name in given:
        if name not in known and not skill.takes_any:
            raise InvalidInput(
                f"skill {skill.name!r} has no parameter {name!r}{did_you_mean(name, known)}",
                hint=f"`dino run {skill.name} --help` shows its parameters",
            )
    missing = [p.name for p in skill.parameters if p.required and p.name not in given]
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise InvalidInput(
            f"skill {skill.name!r} needs {options}",
            hint=f"`dino run {skill.name} --help` shows its parameters",
        )
    return {
        name: _checked(known[name], value) if name in known else value
        for name, value in given.items()
    }


def from_text(parameter: Parameter, text: str) -> Any:
    """
    What *text* means for *parameter*; for a list one of its items, or all of them as JSON.

    Raises:
        InvalidInput: It cannot be read as what the annotation asks for.
    """
    return _convert(parameter.kind, text, parameter)


def _convert(kind: str, text: str, parameter: Parameter) -> Any:
    if kind == "choice":
        return {str(choice): choice for choice in parameter.choices}.get(text, text)
    if kind == "list" and not text.lstrip().startswith("["):
        return _convert(parameter.item, text, parameter)
    try:
        return _READERS.get(kind, _json_or_text)(text)
    except (ValueError, KeyError):
        raise _unfit(parameter, text) from None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


_READERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "Path": str,
    "int": int,
    "float": float,
    "bool": lambda text: _WORDS[text.lower()],
    "dict": json.loads,
    "list": json.loads,
}


def _checked(parameter: Parameter, value: Any) -> Any:
    may_be_none = parameter.optional or (not parameter.required and parameter.default is None)
    if value is None and may_be_none:
        return value
    if parameter.kind == "choice":
        if value not in parameter.choices:
            options = ", ".join(map(str, parameter.choices))
            raise InvalidInput(f"--{parameter.name}: {value!r} is none of {options}")
        return value
    expected = _JSON_TYPES.get(parameter.kind)
    # True is an int to Python, and to nobody else.
    odd_bool = isinstance(value, bool) and parameter.kind != "bool"
    if expected and (not isinstance(value, expected) or odd_bool):
        raise _unfit(parameter, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"--{parameter.name}: must be a finite number, found {value!r}")
    if parameter.kind == "list" and parameter.item in _JSON_TYPES:
        for item in value:
            if not isinstance(item, _JSON_TYPES[parameter.item]):
                raise _unfit(parameter, value)
    return float(value) if parameter.kind == "float" else value


def _unfit(parameter: Parameter, value: Any) -> InvalidInput:
    wanted = parameter.annotation or parameter.kind
    return InvalidInput(f"--{parameter.name.replace('_', '-')}: expected {wanted}, found {value!r}")
