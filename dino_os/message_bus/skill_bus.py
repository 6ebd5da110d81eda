"""The bus as a sandboxed skill has it: it waits for an answer no longer than its run lasts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dino_os import run_context
from dino_os.message_bus import nesting
from dino_os.message_bus.publishing import Draft
from engines import checks

if TYPE_CHECKING:
    from dino_os.message_bus.bus import Bus


class SkillBus:
    """
    *bus* for one run.

    Args:
        until: When the run ends, on the monotonic clock.
        depth: How many messages led to the run.
    """

    def __init__(self, bus: Bus, until: float, depth: int = 0) -> None:
        self._bus = bus
        self._until = until
        self._depth = depth
        self.get_subscribers = bus.get_subscribers
        self.list_channels = bus.list_channels
        self.channel_history = bus.channel_history
        self.ping = bus.ping

    def publish(
        self,
        channel: str,
        message: Any,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[int]:
        """How many subscribers it reached here, and whether (1) it had not been said before."""
        with nesting.led_to(self._depth):
            said = self._bus.say([_draft(channel, message, message_id, headers)])
        return [sum(receiver.counts for one in said for receiver in one.receivers), len(said)]

    def publish_many(self, messages: Iterable[tuple[str, Any]]) -> int:
        with nesting.led_to(self._depth):
            return self._bus.send([_draft(*message) for message in messages])

    def request(self, channel: str, message: Any, timeout: float = 5.0) -> Any:
        left = self._until - time.monotonic()
        with nesting.led_to(self._depth):
            return self._bus.request(channel, message, min(checks.finite(timeout, "timeout"), left))


def _draft(
    channel: str,
    message: Any,
    message_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Draft:
    """The message, which says of which run it is, and of which trace where there is one."""
    here = run_context.current()
    if here and here.sent and isinstance(headers, Mapping | None):
        headers = {"traceparent": here.traceparent, **(headers or {})}
    return Draft.of(channel, message, message_id, headers, run=here.run_id if here else None)
