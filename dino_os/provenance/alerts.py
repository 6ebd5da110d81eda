"""Anomalies, told on the bus: each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dino_os.entities.alerts import CHANNEL
from engines.checks import time_text

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus
    from engines.journal import Event
    from engines.provenance import ProvenanceDomain

_FROM = "provenance"
_LOOKED_BACK = 1000
_NEWS_S = 86_400.0  # older ones, of a history that is followed for the first time, are none
_TOLD = ("kind", "series", "severity", "message", "expected", "seen")


def send_alerts(domain: ProvenanceDomain, bus: Callable[[], Bus]) -> int:
    """Publish the anomalies that nobody was told of yet; how many."""
    if not domain.alerts:
        return 0
    with domain.deciding():  # so that of two services one does it
        waiting = domain.alerts
        said = [found["message"] for found in bus().channel_history(CHANNEL, _LOOKED_BACK)]
        fresh = [alert for alert in waiting if domain.clock() - alert["at"] < _NEWS_S]
        for alert in fresh:
            message = _message(alert)
            # It may be there: somebody died between telling and noting it.
            if message not in said:
                bus().publish(CHANNEL, message)
        if waiting:
            domain.alerts_told(waiting[-1]["seq"])
    return len(fresh)


def _message(alert: Event) -> dict[str, Any]:
    told = {name: alert[name] for name in _TOLD if name in alert}
    return {"from": _FROM, "alert": alert["seq"], **told, "at": time_text(alert["at"])}
