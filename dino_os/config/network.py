"""The sections `nav` and `cache`: gates, routes, and what lies here while there is no network."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from dino_os.config.bounds import Above0, Count, Percent, Positive, Seconds


class Gate(Struct, forbid_unknown_fields=True, frozen=True):
    """
    One domain's gate: how often a subject may pass, how long tokens live, who may have one; and the
    routes behind it.
    """

    rate_per_minute: Positive = 100
    token_s: Annotated[float, Meta(ge=1)] = 3600.0
    subjects: list[str] = []
    primary: str = ""
    failover: list[str] = []
    hosts: list[str] = []
    timeout_s: Above0 = 30.0
    attempt_s: Above0 = 10.0
    retries: Count = 1
    takes_keys: bool = False
    offline: bool = True
    keep_s: Seconds = 0.0
    health_path: str = ""


class Domains(Struct, forbid_unknown_fields=True, frozen=True):
    """The three gates."""

    wealth: Gate = Gate(rate_per_minute=100)
    info: Gate = Gate(rate_per_minute=200)
    myth: Gate = Gate(rate_per_minute=50)


class Anomalies(Struct, forbid_unknown_fields=True, frozen=True):
    """When what happens at the gates is an anomaly, and for how long it keeps somebody out."""

    bucket_s: Annotated[float, Meta(ge=1)] = 10.0
    warm_up: Positive = 30
    least: Positive = 20
    breaches: Annotated[float, Meta(ge=1)] = 5.0
    breach_half_life_s: Annotated[float, Meta(ge=1)] = 300.0
    cool_down_s: Seconds = 300.0
    block_s: Seconds = 0.0


class Routes(Struct, forbid_unknown_fields=True, frozen=True):
    """When a route is left out, for how long, and how much is tried.  0 switches a rule off."""

    consecutive_5xx: Count = 5
    consecutive_gateway_failure: Count = 0
    consecutive_local_origin_failure: Count = 5
    interval_s: Above0 = 10.0
    base_ejection_s: Above0 = 30.0
    max_ejection_s: Above0 = 300.0
    jitter_s: Seconds = 3.0
    max_ejection_percent: Percent = 50.0
    success_rate_hosts: Positive = 5
    success_rate_requests: Positive = 100
    success_rate_stdev: Annotated[float, Meta(ge=0)] = 1.9
    failure_percentage: Percent = 85.0
    failure_percentage_hosts: Positive = 5
    failure_percentage_requests: Positive = 50
    retry_percent: Percent = 20.0
    retry_least: Count = 3
    max_requests: Positive = 1024
    hedge_after_s: Seconds = 0.0
    health_every_s: Above0 = 30.0
    health_timeout_s: Above0 = 3.0
    probe_s: Above0 = 15.0


class Nav(Struct, forbid_unknown_fields=True, frozen=True):
    """The gates in front of the network, what is watched at them, and the routes behind them."""

    domains: Domains = Domains()
    anomalies: Anomalies = Anomalies()
    routes: Routes = Routes()
    private_hosts: list[str] = []
    ca_file: str = ""
    connect_s: Above0 = 3.0
    answer_bytes: Positive = 16 * 2**20


class Cache(Struct, forbid_unknown_fields=True, frozen=True):
    """The documents that lie here, what they are the same with, and the requests that wait."""

    revs_limit: Annotated[int, Meta(ge=2)] = 1000
    ttl_s: Seconds = 0
    expire: Literal["local", "everywhere"] = "local"
    remote: str = ""
    remote_key: str = ""
    direction: Literal["both", "push", "pull"] = "both"
    continuous: bool = False
    attempts: Positive = 12
    keep_s: Annotated[float, Meta(gt=0)] = 30 * 86400.0
    queue_bytes: Positive = 2**28
