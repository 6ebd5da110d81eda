"""The section `provenance`: what becomes of secrets and personal data in what is recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dino_os.config.bounds import Positive, Seconds
from dino_os.config.bus import Duration

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


class Expected(Struct, forbid_unknown_fields=True, frozen=True):
    """An event that has to come, of the series "source/kind"."""

    series: Annotated[str, Meta(min_length=1)]
    every: Duration


class Anomalies(Struct, forbid_unknown_fields=True, frozen=True):
    """When something is an anomaly."""

    bucket_s: Annotated[float, Meta(ge=1)] = 60.0
    warm_up: Positive = 30
    least: Positive = 20
    burst_events: Annotated[int, Meta(ge=2)] = 25
    burst_window_s: Annotated[float, Meta(ge=0.001)] = 1.0
    cool_down_s: Seconds = 300.0
    most_series: Positive = 10_000
    expected: list[Expected] = []


class Provenance(Struct, forbid_unknown_fields=True, frozen=True):
    """What happened, and why."""

    redaction: Redaction = Redaction()
    anomalies: Anomalies = Anomalies()
