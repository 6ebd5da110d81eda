"""One message of the bus on its way between nodes: its subject, and its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from dino_os.message_bus.subject import check_channel
from engines.journal import Event

_OPTIONAL = ("id", "headers", "reply_to", "correlation")
MESSAGES = "evt"
"""The token before a channel's name in the subjects of the stream of messages."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LAST_LINE = 2**53  # beyond it numbers are not exact everywhere
_LAST_MOMENT = 253_402_300_800.0  # the year 10000


@dataclass(frozen=True, slots=True)
class Carried:
    """
    A message as another node said it.

    Attributes:
        workspace: Whose journal it is in; names of nodes may be given anew, this never is.
        node: What that node is called.
        seq: Its line in that journal.
        prev: The line of the message that this node sent before it; None for its first.
        at: When it was said, seconds since the epoch by that node's clock.
        said: The members of `message_published`.
    """

    workspace: str
    node: str
    seq: int
    prev: int | None
    at: float
    said: Mapping[str, Any]

    @classmethod
    def of(cls, event: Event, *, node: str, workspace: str, prev: int | None) -> Carried:
        """The message on that line of the own journal."""
        said = {name: event[name] for name in ("channel", "message")}
        said |= {name: event[name] for name in _OPTIONAL if event.get(name) is not None}
        return cls(workspace, node, event["seq"], prev, event["timestamp"], said)

    @property
    def id(self) -> str:
        """By which servers know it again (`Nats-Msg-Id`)."""
        return f"{self.workspace}.{self.seq}"

    @property
    def channel(self) -> str:
        return str(self.said["channel"])

    def encode(self) -> bytes:
        whole = {
            "workspace": self.workspace,
            "node": self.node,
            "seq": self.seq,
            "prev": self.prev,
            "at": self.at,
            **self.said,
        }
        return orjson.dumps(whole)

    @classmethod
    def decode(cls, data: bytes) -> Carried:
        """
        Raises:
            ValueError: It is none, or none that a journal takes; others may write to the servers
                too.
        """
        try:
            found = orjson.loads(data)
            said = {"channel": check_channel(found["channel"]), "message": found["message"]}
            said |= {name: found[name] for name in _OPTIONAL if found.get(name) is not None}
            for name in set(said) - {"channel", "message"}:
                _check_text(said[name], name)
            seq, prev = _line(found["seq"]), found["prev"]
            if prev is not None and _line(prev) >= seq:
                raise ValueError(f"no message of a node: line {seq} behind {prev}")
            node, at = _name(found["node"]), _moment(found["at"])
            message = cls(_name(found["workspace"]), node, seq, prev, at, said)
            orjson.dumps(message.received(0, 0))  # as a journal will have to
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"no message of a node: {error}") from None
        return message

    def received(self, stream_seq: int | None, settled: int | None = None) -> dict[str, Any]:
        """The members of `message_received`; see `Ledger` for *settled*."""
        places = {"stream_seq": stream_seq, "settled": settled}
        return {
            "node": self.node,
            "workspace": self.workspace,
            "node_seq": self.seq,
            **{name: value for name, value in places.items() if value is not None},
            "at": self.at,
            **self.said,
        }


def _check_text(value: object, name: str) -> None:
    if name == "headers":
        parts = [*value, *value.values()] if isinstance(value, dict) else [None]
    else:
        parts = [value]
    if not all(isinstance(part, str) for part in parts):
        raise ValueError(f"no message of a node: its {name} is {value!r}"[:200])


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"no message of a node: {value!r} is no name"[:200])
    return value


def _line(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LAST_LINE:
        raise ValueError(f"no message of a node: {value!r} is no line"[:200])
    return value


def _moment(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value < _LAST_MOMENT:  # type: ignore[operator]
        raise ValueError(f"no message of a node: {value!r} is no time"[:200])
    return float(value)  # type: ignore[arg-type]


def as_subject(channel: str) -> str:
    """
    *channel*, or a subject with its wildcards, as NATS can have it.

    A channel may have spaces and empty tokens, which NATS does not; `%` stands for what it cannot.
    """
    return ".".join(
        token.replace("%", "%25").replace(" ", "%20") or "%" for token in channel.split(".")
    )
