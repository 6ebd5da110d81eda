"""What of the workspace's bus lasts longer than a call: durable subscriptions, groups, requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import MessageBusError
from dino_os.message_bus.subject import check_subject
from engines import checks

if TYPE_CHECKING:  # who only publishes needs none of it
    from dino_os.message_bus.consumers import Arbiter, Consumers
    from dino_os.message_bus.deliveries import Deliveries
    from dino_os.message_bus.delivery_state import Subscription
    from dino_os.message_bus.exchange import Exchange, Said
    from dino_os.message_bus.handlers import Callback
    from dino_os.message_bus.messages import Messages
    from dino_os.message_bus.publishing import Draft
    from dino_os.message_bus.stored import Stored

_RESPONDERS = "_responders"
_MOST_COUNTED = 10_000  # requests


class Lasting(ABC):
    """
    A part of the bus.

    Attributes:
        messages: What was said.
        head: The file that is written again behind whatever is recorded.
    """

    messages: Messages
    head: Path
    arbiter: Arbiter | None = None
    """Who says who gets which message, where it is not the journal of deliveries; to be set before
    anybody subscribes."""
    groups_are_elsewhere = False
    """Whether that is so for all messages of groups: how many wait is not known here."""
    _deliveries: Callable[[], Deliveries] | None
    _carry: Callable[[], None] | None
    _read_only: bool

    @property
    @abstractmethod
    def exchange(self) -> Exchange:
        """Where messages come in for this process."""

    @abstractmethod
    def say(self, drafts: list[Draft]) -> list[Said]:
        """Record them and have those handled who listen here; those that are new."""

    @abstractmethod
    def answer(self, asked: Stored, value: Any) -> None:
        """Send *value* to who waits for an answer to that message."""

    @abstractmethod
    def first_seq(self, subject: str = ">") -> int:
        """Number of the first message of *subject* that counts."""

    @property
    def deliveries(self) -> Deliveries:
        """Who has which message."""
        if self._deliveries is None:
            raise MessageBusError("this bus has no journal of deliveries")
        return self._deliveries()

    @cached_property
    def consumers(self) -> Consumers:
        from dino_os.message_bus.consumers import Consumers  # noqa: PLC0415

        return Consumers(
            lambda: self.deliveries,
            self.messages,
            lambda: self.exchange,
            self.first_seq,
            answer=self.answer,
            arbiter=self.arbiter,
        )

    def listen(self) -> None:
        """What other nodes say is to come in."""
        if self._carry:
            self._carry()

    # --- subscriptions -----------------------------------------------------------------------

    def consume(self, subject: str, callback: Callback, **options: Any) -> str:
        self._check_writes()
        self.listen()
        return self.consumers.subscribe(subject, callback, **options)

    def forget(self, durable: str) -> bool:
        self._check_writes()
        return self.deliveries.forget(durable)

    def subscriptions(self) -> list[dict[str, Any]]:
        return [self._shown(own) for own in self.deliveries.subscriptions()]

    def dead_letters(self, durable: str | None = None) -> list[dict[str, Any]]:
        found = []
        for name, letter in self.deliveries.dead_letters(durable):
            said = self.messages.at(letter.seq)
            found.append(
                {
                    "subscription": name,
                    "seq": letter.seq,
                    "channel": said.channel if said else None,
                    "message": said.message if said else None,
                    "attempts": letter.attempts,
                    "error": letter.error,
                    "given_up": checks.time_text(letter.at),
                }
            )
        return found

    def redeliver(self, durable: str, seq: int) -> bool:
        self._check_writes()
        return self.deliveries.redeliver(durable, seq)

    def _shown(self, own: Subscription) -> dict[str, Any]:
        alive = sum(self.deliveries.is_alive(member) for member in own.members.values())
        in_flight = sum(one.member is not None for one in own.unsettled.values())
        return {
            "name": own.name,
            "subject": own.subject,
            "group": own.group,
            "durable": own.durable,
            "members": alive,
            "backlog": self._ahead(own) + len(own.unsettled),
            "in_flight": in_flight,
            "dead_letters": len(own.dead),
            "acknowledged": own.acked,
            "settled_to": own.settled_to,
            "retries": own.retries,
            "ack_wait_s": own.ack_wait_s,
            "max_in_flight": own.max_in_flight,
            "opened": checks.time_text(own.opened),
        }

    def _ahead(self, own: Subscription) -> int:
        """How many messages nobody had yet."""
        from dino_os.message_bus.requests import is_request  # noqa: PLC0415

        if own.group and self.groups_are_elsewhere:
            return 0
        if (own.group or "").startswith(_RESPONDERS):
            found = self.messages.after(own.taken_to, own.subject, _MOST_COUNTED)
            return sum(map(is_request, found))
        return self.messages.count_after(own.taken_to, own.subject, opened=own.opened)

    def _holds_up(self, own: Subscription) -> bool:
        """Whether who publishes is to wait for it."""
        return own.durable and not (own.group and self.groups_are_elsewhere)

    # --- requests ----------------------------------------------------------------------------

    def respond(self, subject: str, callback: Callback, group: str | None = None) -> str:
        from dino_os.message_bus.requests import Responding, is_request  # noqa: PLC0415
        from dino_os.message_bus.terms import Terms  # noqa: PLC0415

        self._check_writes()
        self.listen()
        work = Responding(
            callback,
            self,
            self.messages,
            self.exchange.subscriptions.declared,
            clean=self.deliveries.clean,
        )
        return self.consumers.add(
            Terms(check_subject(subject), group=f"{_RESPONDERS}-{group}" if group else _RESPONDERS),
            callback,
            work,
            after=self.messages.end,
            is_for_us=is_request,
        )

    def request(self, channel: str, message: Any, timeout: float = 5.0) -> Any:
        from dino_os.message_bus.requests import Requests  # noqa: PLC0415

        self._check_writes()
        self.listen()
        asking = Requests(self, self.messages, self.exchange, self.head)
        return asking.request(channel, message, timeout)

    def _check_writes(self) -> None:
        if self._read_only:
            raise MessageBusError("a rehearsal publishes nothing, and handles nothing")
