"""The subscribers of a sandboxed skill: they hear what the same skill publishes."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from typing import Any

from dino_os.message_bus import nesting
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.subject import check_channel
from dino_os.message_bus.subscriptions import Subscriptions, check_message


class OwnSubscriptions(Subscriptions):
    """As those of any process, without a journal of their own: messages are counted from 0."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def check(self, channel: str, message: Any) -> None:
        """
        Refuse what cannot be published.

        Raises:
            InvalidInput: Channel or message is none.
            MessageBusError: It answers an answer to an answer … without end.
        """
        check_channel(channel)
        check_message(message)
        nesting.check(channel)

    def deliver(
        self,
        channel: str,
        message: Any,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Call each subscriber; how many there were."""
        hearing = self.hearing(channel)
        if not hearing:
            return 0
        own = json.loads(check_message(message))  # as it is recorded
        number = next(self._numbers)
        said = Stored(
            number, channel, own, message_id, dict(headers or {}), None, None, time.time(), None
        )
        for receiver in hearing:
            receiver.put(said, nesting.depth() + 1)
        for receiver in hearing:
            receiver.settle(number)
        return len(hearing)
