"""One message as it is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from engines.journal import Event

PUBLISHED, RECEIVED = "message_published", "message_received"
"""Said on this node; or on another of the cluster, and brought here."""


class Stored(NamedTuple):
    """
    One message as it is on record.

    Attributes:
        seq: Its line in the journal; later messages have higher ones.
        message: A JSON value, which belongs to whoever asked.
        id: What its publisher tells it from others by, if anything.
        headers: What its publisher says about it.
        reply_to: The channel on which an answer is waited for.
        correlation: What the answer is to name.
        published: Seconds since the epoch, by the clock of the node where it was said.
        node: Which other node that was; None for this one.
        depth: How many messages led to it, each published by whoever had the one before; itself
            counted.
    """

    seq: int
    channel: str
    message: Any
    id: str | None
    headers: dict[str, str]
    reply_to: str | None
    correlation: str | None
    published: float
    node: str | None
    depth: int = 1


def is_message(event: Event) -> bool:
    return event["event_type"] in (PUBLISHED, RECEIVED)


def stored(event: Event) -> Stored:
    """The message on that line, which is one."""
    get = event.get
    return Stored(
        event["seq"],
        event["channel"],
        event["message"],
        get("id"),
        get("headers") or {},
        get("reply_to"),
        get("correlation"),
        get("at", event["timestamp"]),
        get("node"),
        get("depth", 1),
    )
