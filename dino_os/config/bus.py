"""The section `bus`: what is kept of what was said, and for how long doubles are known."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dino_os.config.bounds import Above0, Positive

# As people write them, "90s" or "10MB"; a number is in seconds, or bytes.
Duration = Above0 | Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|min|h|d)$")]
Size = Positive | Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)? ?([kKmMgG]i?)?[bB]$")]


class Channels(Struct, forbid_unknown_fields=True, frozen=True):
    """How much of what is said on some channels counts, all of them together."""

    max_age: Duration | None = None
    max_messages: Positive | None = None
    max_bytes: Size | None = None
    when_full: Literal["old", "refuse"] = "old"  # what goes


class Bus(Struct, forbid_unknown_fields=True, frozen=True):
    """The message bus."""

    duplicate_window: Duration = "2m"
    channels: dict[str, Channels] = {}
    max_backlog: Positive = 100_000
