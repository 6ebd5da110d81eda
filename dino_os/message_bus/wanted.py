"""
What type of message a callback asks for, by the annotation of its first parameter.

Callbacks are older than this, and annotated for people: what is no type that messages are made
into says nothing, and stops nobody.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

_JSON = frozenset({dict, list, tuple, str, int, float, bool, type(None)})
_MAPPINGS = frozenset({dict, abc.Mapping, abc.MutableMapping})
_LISTS = frozenset({list, tuple, abc.Sequence, abc.Collection})
_CONTAINERS = _MAPPINGS | _LISTS | {set, frozenset, abc.Set}
_UNIONS = (Union, types.UnionType)


class Wanted(NamedTuple):
    """
    A type of messages.

    Attributes:
        is_bare: Whether it only names what JSON has, as `dict` and `str | None` do: that is said
            of many a parameter by who does not mean to have messages refused.
    """

    type: Any
    is_bare: bool


def wanted_by(function: Callable[..., object], first: inspect.Parameter) -> Wanted | None:
    """What *function* asks for with its parameter *first*; None where it takes any message."""
    if first.annotation is first.empty or first.kind is first.VAR_POSITIONAL:
        return None
    wanted = looked_up(function, first.annotation)
    if wanted is None or _is_anything(wanted) or not _is_made_of_messages(wanted):
        return None
    if first.default is None:
        wanted = wanted | None
    return Wanted(wanted, _is_bare(wanted))


def looked_up(function: Callable[..., object], annotation: Any) -> Any:
    """What *annotation* stands for in *function*; None where that cannot be found out."""
    there = _plain(function)
    if hasattr(there, "__wrapped__"):  # its annotations are those of what it wraps
        return None
    one = types.SimpleNamespace(__annotations__={"message": annotation})
    try:
        hints = typing.get_type_hints(one, getattr(there, "__globals__", {}))
    except Exception:  # noqa: BLE001  whatever stands there is evaluated
        return None
    return hints["message"]


def _plain(function: Any) -> Any:
    """Where the annotations of *function* stand."""
    if isinstance(function, functools.partial):
        return _plain(function.func)
    if inspect.isclass(function):
        return function.__init__
    if not inspect.isroutine(function):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _is_made_of_messages(wanted: Any) -> bool:
    """Whether messages are made into it."""
    return _is_known(wanted) and can_convert(wanted)


def can_convert(wanted: Any) -> bool:
    """Whether a message can be held against it at all."""
    import msgspec  # noqa: PLC0415  for typed messages alone

    try:
        msgspec.json.Decoder(wanted)
    except Exception:  # noqa: BLE001  the names within it are looked up
        return False
    return True


def _is_known(wanted: Any) -> bool:
    origin = get_origin(wanted)
    if origin is Literal or _is_anything(wanted):
        return True
    if origin is typing.Annotated:
        return _is_known(get_args(wanted)[0])
    if origin in _UNIONS or origin in _CONTAINERS:
        return all(part is ... or _is_known(part) for part in get_args(wanted))
    return _is_record(origin or wanted)


def _is_record(wanted: Any) -> bool:
    if not isinstance(wanted, type):
        return False
    return (
        wanted in _JSON
        or dataclasses.is_dataclass(wanted)
        or typing.is_typeddict(wanted)
        or issubclass(wanted, enum.Enum)
        or hasattr(wanted, "__struct_fields__")
        or (issubclass(wanted, tuple) and hasattr(wanted, "_fields"))
    )


def _is_bare(wanted: Any) -> bool:
    origin = get_origin(wanted)
    if origin in _UNIONS:
        return all(map(_is_bare, get_args(wanted)))
    if origin in _LISTS or origin in _MAPPINGS:
        parts = [part for part in get_args(wanted) if part is not ...]
        if origin in _MAPPINGS and parts[:1] == [str]:
            del parts[0]
        return all(map(_is_anything, parts))
    return _is_anything(wanted) or wanted in _JSON


def _is_anything(wanted: Any) -> bool:
    return wanted is Any or wanted is object or isinstance(wanted, typing.TypeVar)
