"""The sections `planning` and `orders`: cycles, what leaves them, and the money."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dino_os.config.bounds import Count, Positive, Share


class OutboxSettings(Struct, forbid_unknown_fields=True, frozen=True):
    """How long what is handed out waits for its receiver."""

    timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    attempts: Positive = 12
    keep_s: Annotated[float, Meta(gt=0)] = 7 * 86400.0


class Planning(Struct, forbid_unknown_fields=True, frozen=True):
    """How plan-cycle judges and remembers."""

    alert_threshold: Share = 0.55
    critical_threshold: Share = 0.85
    intervention_threshold: Share = 0.5
    min_skill_match: Share = 0.0
    method: Literal["auto", "greedy"] = "greedy"
    horizon: Count = 5
    zone_history: Positive = 128
    sector_history: Positive = 256
    state_history: Positive = 60
    state_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.15
    cycle: str = "cycle.yaml"
    outbox: OutboxSettings = OutboxSettings()


class HttpPayments(Struct, forbid_unknown_fields=True, frozen=True):
    """The provider `http`: where it is, which keys of the vault it takes, how long it waits."""

    url: str = ""
    key: Annotated[str, Meta(min_length=1)] = "payments"
    webhook_key: Annotated[str, Meta(min_length=1)] = "payments_webhook"
    webhook_tolerance_s: Annotated[float, Meta(gt=0)] = 300.0
    timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    tries: Positive = 3
    key_life_s: Annotated[float, Meta(gt=0)] = 86400.0


class Orders(Struct, forbid_unknown_fields=True, frozen=True):
    """Who takes the money, and which skill fulfils what was paid."""

    provider: Annotated[str, Meta(min_length=1)] = "sandbox"
    fulfilment_skill: str = ""
    fulfil_products: dict[str, str] = {}
    http: HttpPayments = HttpPayments()
