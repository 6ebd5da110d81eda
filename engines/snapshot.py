"""
Snapshots: the folded state of an engine beside its journal, so that opening need not fold it all.

An index: it can be deleted, and it is passed over where its journal does not hold the line that it
stands for, or where another version or other settings of the engine made it.  Values are written as
JSON that names their types; reading makes plain data of known types and runs no code of theirs.  A
large state takes itself apart: `to_plain() -> JSON` and `from_plain(JSON)`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engines.durable import replace_file
from engines.journal import Position

_FORMAT = 1
_OURS = ("engines.", "dino_os.")


class Snapshot(NamedTuple):
    """State by attribute, and the place in the journal that it stands for."""

    position: Position
    state: dict[str, Any]


class SnapshotFile:
    """The file at *path*, which need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, maker: str, snapshot: Snapshot) -> None:
        """
        Replace it.

        Args:
            maker: What tells the code and settings that folded it.

        Raises:
            OSError: The disk did not take it.
        """
        form = {
            "format": _FORMAT,
            "maker": maker,
            "position": dataclasses.asdict(snapshot.position),
            "state": {name: pack(value) for name, value in snapshot.state.items()},
        }
        replace_file(self.path, orjson.dumps(form))

    def load(self, maker: Callable[[], str] | None) -> Snapshot | None:
        """
        What was saved by the same *maker* (None: by any), or None where nothing was.

        Whose it must be is asked only where there is something: to say it costs reading code.
        """
        # Whatever it is, where that fails it is not what was saved.
        with contextlib.suppress(Exception), without_collection():
            form = orjson.loads(self.path.read_bytes())
            if form["format"] == _FORMAT and (maker is None or form["maker"] == maker()):
                state = {name: unpack(value) for name, value in form["state"].items()}
                return Snapshot(_position(form["position"]), state)
        return None


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Making a large state sets off searches for garbage, of which there is none: half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_position(path: Path) -> Position | None:
    """The place that the snapshot at *path* stands for, or None where there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return _position(orjson.loads(path.read_bytes())["position"])
    return None


def _position(form: dict[str, Any]) -> Position:
    seq, parent_hash, offset = form["seq"], form["parent_hash"], form["offset"]
    if not (type(seq) is type(offset) is int and seq > 0 < offset and type(parent_hash) is str):
        raise ValueError("not a place behind a line")
    return Position(seq, parent_hash, offset)


def pack(value: Any) -> Any:
    """*value* as JSON; whatever JSON has no type for becomes {"": type, "=": content}."""
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if type(value) is list:
        return [pack(item) for item in value]
    if type(value) is dict and all(type(key) is str for key in value) and "" not in value:
        return {key: pack(item) for key, item in value.items()}
    kind, content = _dismantle(value)
    return {"": kind, "=": content}


class _Kind(NamedTuple):
    """A type that JSON has no form for, how it is taken apart, and how it is made again."""

    type: type
    apart: Callable[[Any], Any]
    again: Callable[[Any], Any]


def _pairs(mapping: Mapping[Any, Any]) -> list[list[Any]]:
    return [[key, value] for key, value in mapping.items()]


_KINDS = {
    "datetime": _Kind(datetime, datetime.isoformat, datetime.fromisoformat),
    "bytes": _Kind(bytes, bytes.hex, bytes.fromhex),
    "tuple": _Kind(tuple, list, tuple),
    "set": _Kind(set, list, set),
    "frozenset": _Kind(frozenset, list, frozenset),
    "deque": _Kind(deque, lambda q: [q.maxlen, *q], lambda found: deque(found[1:], found[0])),
    "counter": _Kind(
        Counter, lambda c: [*map(list, c.items())], lambda found: Counter(dict(found))
    ),
    "dict": _Kind(dict, _pairs, dict),
}


def _dismantle(value: Any) -> tuple[str, Any]:
    for name, kind in _KINDS.items():
        if type(value) is kind.type:
            return name, pack(kind.apart(value))
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if hasattr(value, "to_plain"):
        return name, value.to_plain()
    if isinstance(value, Enum):
        return name, pack(value.value)
    if isinstance(value, tuple):
        return name, pack(list(value))
    if dataclasses.is_dataclass(value):
        return name, [pack(getattr(value, field.name)) for field in dataclasses.fields(value)]
    raise TypeError(f"a snapshot cannot hold {type(value).__name__}")


def unpack(packed: Any) -> Any:
    """The value of which `pack` made *packed*: of known types, and no code of theirs is run."""
    if isinstance(packed, list):
        return [unpack(item) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if "" not in packed:
        return {key: unpack(item) for key, item in packed.items()}
    name = packed[""]
    if name in _KINDS:
        return _KINDS[name].again(unpack(packed["="]))
    cls = _known_type(name)
    if hasattr(cls, "from_plain"):
        return cls.from_plain(packed["="])
    return _rebuild(cls, unpack(packed["="]))


def _known_type(kind: str) -> type:
    module, _, name = kind.partition(":")
    if not module.startswith(_OURS) or "." in name:
        raise ValueError(f"not one of our types: {kind}")
    found = getattr(sys.modules.get(module) or import_module(module), name)
    if not isinstance(found, type):
        raise TypeError(f"not a type: {kind}")
    return found


def _rebuild(cls: type, content: Any) -> Any:
    if issubclass(cls, Enum):
        return cls(content)
    if issubclass(cls, tuple):
        return tuple.__new__(cls, content)
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is not plain data")
    # As it was, without its checks, which may have become stricter since.
    # What has become part of it since is at the end.
    value, fields = object.__new__(cls), dataclasses.fields(cls)
    since = [_default(field) for field in fields[len(content) :]]
    for field, item in zip(fields, [*content, *since], strict=True):
        object.__setattr__(value, field.name, item)
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    if field.default is dataclasses.MISSING:
        raise ValueError(f"there was no {field.name!r} then, and nothing stands for it")
    return field.default
