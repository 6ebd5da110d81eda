"""
What nodes tell each other about tasks, as JSON; whatever does not fit it is refused.

A job is one lease of its owner's: tasks of one kind, that whoever takes it runs and answers for.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from dino_os.errors import ClusterError
from engines.resource_engine import DEEPEST, with_room

T = TypeVar("T")

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Node = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}\Z")]
Whole = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]

_LONG_NUMBER = re.compile(rb"\d{19}")  # as all have that are beyond 64 bits


class JobTask(Struct, omit_defaults=True, frozen=True):
    """One task of a job; `key` is the same over all its attempts."""

    task: Name
    key: Name
    attempt: Annotated[int, Meta(ge=1)] = 1
    params: dict[str, Any] = {}
    priority: Annotated[int, Meta(ge=0, le=3)] = 2
    timeout_s: Annotated[float, Meta(gt=0)] | None = None
    needs: dict[Name, Annotated[int, Meta(ge=1)]] = {}


class Job(Struct, frozen=True):
    """
    A lease that travels.

    Attributes:
        session: Of the owner that granted it; with `lease` it fences: no other has both.
        does: "skill:NAME" or "call:NAME".
        sha256: What the text of the skill must have; empty for functions.
    """

    owner: Node
    session: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    lease: Whole
    does: Name
    sha256: str
    tasks: Annotated[list[JobTask], Meta(min_length=1, max_length=1000)]


class Outcome(Struct, omit_defaults=True, frozen=True):
    """How one task of a job ended, as `engines.resource_engine.Ended` has it."""

    session: str
    lease: Whole
    task: Name
    outcome: Literal[
        "ok",
        "ok_no_action",
        "error",
        "timeout",
        "cancelled",
        "denied",
        "blocked",
        "delivery_failed",
    ]
    result: Any = None
    error: dict[str, Any] | None = None
    duration_s: Seconds = 0.0
    retry_after_s: Seconds | None = None
    final: bool = False


class OfTask(Struct, frozen=True):
    """Of which task something is said."""

    session: str
    lease: Whole
    task: Name


class Report(Struct, frozen=True):
    """What one node says to one owner; `ended` are `Outcome`s, each to be read by itself."""

    node: Node
    ended: list[Raw]


class Able(Struct, frozen=True):
    """
    Which kinds of tasks a node runs now.

    Attributes:
        kinds: `kind_token` of each.
        places: How many tasks at once; 0 where it takes none at present.
    """

    node: Node
    kinds: list[Name]
    places: Whole


class Stop(Struct, frozen=True):
    """Tasks that their owner wants stopped."""

    owner: Node
    session: str
    tasks: list[Name]


def encode(message: Struct) -> bytes:
    """*message* as JSON."""
    return msgspec.json.encode(message)


def decode_report(data: bytes) -> Report:
    """
    The report in *data*; see `decode_outcome` for what is in it.

    Raises:
        ClusterError: It is none.
    """
    try:
        return msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClusterError(f"not a report: {error}") from None


def decode_outcome(data: bytes | Raw) -> Outcome:
    """
    One outcome of a report, as its owner can record it.

    Raises:
        ClusterError: It cannot.
    """
    data = bytes(data)
    found = decode(data, Outcome)
    try:
        if not _is_plain(data):
            orjson.dumps(with_room(found.result))
    except TypeError as error:
        raise ClusterError(f"its result cannot be recorded: {error}") from None
    return found


def _is_plain(data: bytes) -> bool:
    """Whether a glance tells that all of it can be recorded: it neither goes deep nor far."""
    return data.count(b"[") + data.count(b"{") <= DEEPEST and not _LONG_NUMBER.search(data)


def decode(data: bytes | Raw, kind: type[T]) -> T:
    """
    The message in *data*.

    Raises:
        ClusterError: It is none of that kind, or has what no journal takes.
    """
    try:
        found = msgspec.json.decode(data, type=kind)
        if not _is_plain(bytes(data)):
            orjson.dumps(msgspec.to_builtins(found))  # no number beyond 64 bits, for example
    except (msgspec.DecodeError, TypeError, RecursionError) as error:
        raise ClusterError(f"not a message about tasks: {error}") from None
    return found


def kind_token(does: str, sha256: str) -> str:
    """The token of subjects that stands for what *does*, in that version of its text."""
    digest = hashlib.sha256(f"{does}\n{sha256}".encode()).hexdigest()[:16]
    shown = re.sub(r"[^A-Za-z0-9_-]", "-", does.partition(":")[2])[:40]
    return f"{shown}-{digest}"
