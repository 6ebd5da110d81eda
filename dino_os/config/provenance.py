"""The section `provenance`: what becomes of secrets and personal data in what is recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Action = Literal["hash", "mask", "drop", "keep"]
Region = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class Rules(Struct, forbid_unknown_fields=True, frozen=True):
    """What is done with each kind and each field, on the way to one destination."""

    default: Action | None = None
    kinds: dict[str, Action] = {}
    fields: dict[str, Action] = {}


class Redaction(Struct, forbid_unknown_fields=True, frozen=True):
    """What is done with what is found."""

    default: Action = "hash"
    kinds: dict[str, Action] = {}
    fields: dict[str, Action] = {}
    destinations: dict[str, Rules] = {}
    phone_regions: tuple[Region, ...] = ("US", "GB")
    lowest_score: Annotated[float, Meta(ge=0, le=1)] = 0.5
    file: str = ""
    escrow: str = ""


class Provenance(Struct, forbid_unknown_fields=True, frozen=True):
    """What happened, and why."""

    redaction: Redaction = Redaction()
