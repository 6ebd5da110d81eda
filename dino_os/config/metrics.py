"""The section `metrics`: how often they are read by themselves, and when somebody is told."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dino_os.config.bus import Duration


class Alert(Struct, forbid_unknown_fields=True, frozen=True, rename={"for_": "for"}):
    """A rule: what must hold, and for how long."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    expr: str
    for_: Duration | Literal[0] = 0
    severity: Literal["info", "warning", "critical"] = "warning"
    summary: str = ""


class Metrics(Struct, forbid_unknown_fields=True, frozen=True):
    """The metrics."""

    every_s: Annotated[float, Meta(ge=1)] = 60.0
    alerts: list[Alert] = []
    alerts_file: str = ""
