"""Alerts on the bus: what a person should look at, published once on `dino.alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines import checks

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus
    from engines.entity_manager import Alert, EntityManager

CHANNEL = "dino.alerts"
_FROM = "entities"
_LOOKED_BACK = 1000


def send_alerts(manager: EntityManager, bus: Bus) -> None:
    """Publish the alerts that nobody was told of yet."""
    if not manager.alerts:
        return
    with manager.deciding():  # so that of two services one does it
        said = [found["message"] for found in bus.channel_history(CHANNEL, _LOOKED_BACK)]
        for alert in manager.alerts:
            message = _message(alert)
            # It may be there: somebody died between telling and noting it.  Word for word, because
            # anybody may publish there, and only who says all of it has told it.
            if message not in said:
                bus.publish(CHANNEL, message)
            manager.alert_sent(alert.number)


def _message(alert: Alert) -> dict[str, Any]:
    return {
        "from": _FROM,
        "alert": alert.number,
        "entity_id": alert.entity_id,
        "reason": alert.reason,
        "at": checks.time_text(alert.at),
    }
