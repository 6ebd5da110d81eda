"""
What live engines say of themselves, by their public faces: `get_status()` and `get_stats()`.

A name that an engine does not tell is nothing, never an error: engines grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from engines.metrics.families import Family, Labels, by, counter, counters, gauge, gauges
from engines.metrics.model import Share


class TellsStatus(Protocol):
    """A resource engine or a nav mesh."""

    def get_status(self) -> Mapping[str, Any]: ...


class TellsStats(Protocol):
    """A cache; it may have a `queue` of operations that can say `can_retry()`."""

    def get_stats(self) -> Mapping[str, Any]: ...


def flow(status: Mapping[str, Any]) -> Share:
    """Done, of what is done, failed or waits: of a queue without a journal."""
    done = _number(status, "tasks_processed")
    return Share(done, done + _number(status, "tasks_failed") + _number(status, "tasks_queued"))


def gates(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Domain → that gate's stats, whether they come as a mapping or as a list."""
    found = status.get("gates") or {}
    pairs = found.items() if isinstance(found, Mapping) else ((None, gate) for gate in found)
    return {
        str(getattr(named, "value", named)): gate
        for domain, gate in pairs
        if isinstance(gate, Mapping)
        for named in [gate.get("domain", domain)]
    }


def breaches(status: Mapping[str, Any]) -> Share:
    """Blocked, of attempts: where a gate denied less often than it was attacked, some got by."""
    found = Share()
    for gate in gates(status).values():
        attempts = _number(gate, "breach_attempts")
        # A gate that does not say how many it blocked blocked no more than it denied.
        told = "breaches_blocked" if "breaches_blocked" in gate else "total_denied"
        found += (min(attempts, _number(gate, told)), attempts)
    return found


def decisions(status: Mapping[str, Any]) -> float:
    """How often gates let somebody through or did not."""
    return sum(_number(gate, "total_requests") for gate in gates(status).values())


def kept_offline(cache: TellsStats) -> Share:
    """Operations made while offline that were sent or still can be, of all that were made so."""
    stats = cache.get_stats()
    waiting = [operation.can_retry() for operation in getattr(cache, "queue", None) or ()]
    kept = _number(stats, "operations_synced") + sum(waiting)
    return Share(kept, kept + _number(stats, "operations_lost") + waiting.count(False))


def engine_families(status: Mapping[str, Any]) -> Iterable[Family]:
    """Pools, workers and health, as they are now."""
    pools: Mapping[str, Mapping[str, Any]] = status.get("pools") or {}
    for name, text in _POOL.items():
        values = {pool: _number(stats, name) for pool, stats in pools.items()}
        yield gauges(f"dino_pool_{name}", text, by("pool", values))
    yield gauge("dino_engine_sessions", "Processes at work.", _number(status, "workers"))
    checks: Mapping[str, Mapping[str, Any]] = status.get("health_checks") or {}
    healthy = {name: int(bool(check.get("healthy"))) for name, check in checks.items()}
    yield gauges("dino_health_check", "Whether a check passes.", by("check", healthy))


def gate_families(status: Mapping[str, Any]) -> Iterable[Family]:
    """Gates and routes of the nav mesh."""
    found = gates(status)
    decided: list[tuple[Labels, float]] = [
        ({"domain": domain, "result": result}, _number(gate, f"total_{result}"))
        for domain, gate in found.items()
        for result in ("allowed", "denied")
    ]
    yield counters("dino_gate_decisions_total", "Requests at gates, by result.", decided)
    attempts = {domain: _number(gate, "breach_attempts") for domain, gate in found.items()}
    yield counters("dino_gate_breach_attempts_total", "Attacks on gates.", by("domain", attempts))
    switches = _number(status, "path_switches")
    yield counter("dino_nav_path_switches_total", "Changes of route.", switches)


def cache_families(cache: TellsStats) -> Iterable[Family]:
    """Hits, misses and the offline queue of the cache."""
    reads = {
        name: max(float(getattr(cache, f"cache_{name}", 0)), 0.0) for name in ("hits", "misses")
    }
    yield counters("dino_cache_reads_total", "Reads of the cache.", by("result", reads))
    queue = len(getattr(cache, "queue", None) or ())
    yield gauge("dino_cache_queue_operations", "Operations that wait for the network.", queue)


def _number(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name)
    return value if isinstance(value, int | float) and value > 0 else 0


_POOL = {
    "capacity": "How much of a pool there is.",
    "allocated": "How much of a pool is taken.",
    "waiting": "How much of a pool is wanted by tasks that could start.",
}
