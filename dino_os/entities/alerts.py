"""Alerts on the bus: what a person should look at, published once on `dino.alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines import checks

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus
    from engines.entity_manager import EntityManager

CHANNEL = "dino.alerts"
_FROM = "entities"
_LOOKED_BACK = 1000


def send_alerts(manager: EntityManager, bus: Bus) -> None:
    """Publish the alerts that nobody was told of yet."""
    if not manager.alerts:
        return
    with manager.deciding():  # so that of two services one does it
        told = {
            found["message"].get("alert")
            for found in bus.channel_history(CHANNEL, _LOOKED_BACK)
            if isinstance(found["message"], dict) and found["message"].get("from") == _FROM
        }
        for alert in manager.alerts:
            if alert.number not in told:  # else somebody died between telling and noting it
                bus.publish(
                    CHANNEL,
                    {
                        "from": _FROM,
                        "alert": alert.number,
                        "entity_id": alert.entity_id,
                        "reason": alert.reason,
                        "at": checks.time_text(alert.at),
                    },
                )
            manager.alert_sent(alert.number)
