"""The bus as a sandboxed skill has it: it waits for an answer no longer than its run lasts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from engines import checks

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus


class SkillBus:
    """
    *bus* for one run.

    Args:
        until: When the run ends, on the monotonic clock.
    """

    def __init__(self, bus: Bus, until: float) -> None:
        self._bus = bus
        self._until = until
        self.publish = bus.publish
        self.publish_many = bus.publish_many
        self.get_subscribers = bus.get_subscribers
        self.list_channels = bus.list_channels
        self.channel_history = bus.channel_history
        self.ping = bus.ping

    def request(self, channel: str, message: Any, timeout: float = 5.0) -> Any:
        left = self._until - time.monotonic()
        return self._bus.request(channel, message, min(checks.finite(timeout, "timeout"), left))
