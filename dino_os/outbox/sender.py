"""
Sends what is due: one process at a time, place by place.

What is on this machine goes in batches: begun (recorded), put there, delivered (recorded).  What is
on the network goes one by one; where a receiver does not answer, the rest for it waits for the next
pass, so that one that is down holds nobody else up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from dino_os.errors import DinoError, InvalidInput
from dino_os.outbox.addresses import Address
from dino_os.outbox.engine import Outbox
from dino_os.outbox.model import Delivery
from dino_os.outbox.places import BusPlace, FilePlace, Place
from dino_os.outbox.webhook import Refused, Unreachable, post
from dino_os.process_lock import ProcessLock
from dino_os.web_calls import origin_of

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_AT_ONCE = 500
Watch = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a pass came to; `waiting` is all that is queued behind it."""

    delivered: int
    failed: int
    given_up: int
    waiting: int

    def as_dict(self) -> dict[str, int]:
        return {
            "delivered": self.delivered,
            "failed": self.failed,
            "given_up": self.given_up,
            "waiting": self.waiting,
        }


class Sender:
    """
    Sends what *outbox* holds.

    Args:
        lock: Held while something is sent.
        place: Address → the place on this machine that it names.
        secret: Name of a key → its value.
        timeout_s: For each call on the network.
    """

    def __init__(
        self,
        outbox: Outbox,
        lock: ProcessLock,
        *,
        place: Callable[[Address], Place],
        secret: Callable[[str], str],
        timeout_s: float,
    ) -> None:
        self._outbox = outbox
        self._lock = lock
        self._place = place
        self._secret = secret
        self._timeout_s = timeout_s
        self._failed = 0
        self._secrets: dict[str, str] = {}  # of one pass: each is asked for, and recorded, once

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """The sender of a workspace."""

        def place(address: Address) -> Place:
            if address.kind == "bus":
                journal = workspace.memory / "bus.jsonl"
                return BusPlace(lambda: workspace.bus, journal, address.target)
            return FilePlace(address.file(workspace.root, workspace.memory))

        return cls(
            workspace.outbox,
            _lock(workspace.memory, workspace.operator),
            place=place,
            secret=workspace.key,
            timeout_s=workspace.config.settings.planning.outbox.timeout_s,
        )

    def send(self, *, wait_s: float = 0.0, watch: Watch | None = None) -> Sent:
        """
        Try all that is due.

        Raises:
            Busy: Another process is sending.
        """
        with self._lock.held(wait_s):
            self._failed, self._secrets = 0, {}
            before = self._outbox.status()
            due = self._outbox.due(self._outbox.clock())
            for address, group in _by(due, lambda d: d.to).items():
                if address.kind != "webhook":
                    for start in range(0, len(group), _AT_ONCE):
                        self._put(address, group[start : start + _AT_ONCE])
            hooks = [delivery for delivery in due if delivery.to.kind == "webhook"]
            for group in _by(hooks, _host_of).values():
                self._post_all(watch(group, "sending") if watch else group)
        after = self._outbox.status()
        return Sent(
            delivered=after["delivered"] - before["delivered"],
            failed=self._failed,
            given_up=after["given_up"] - before["given_up"],
            waiting=after["queued"],
        )

    def _put(self, address: Address, group: Sequence[Delivery]) -> None:
        try:
            place = self._place(address)
            arrived = self._arrived(place, group)
            rest = [delivery for delivery in group if delivery.id not in arrived]
            if not rest:
                return
            ids = [delivery.id for delivery in rest]
            self._outbox.begin(ids, place.mark())
            place.put(rest)
            self._outbox.delivered(ids)
        except (DinoError, OSError) as error:
            ids = [delivery.id for delivery in group]
            self._fail(ids, error)

    def _arrived(self, place: Place, group: Sequence[Delivery]) -> set[str]:
        """Those of which an earlier attempt did not live to tell; they are recorded now."""
        arrived: set[str] = set()
        for doubtful in _by([d for d in group if d.begun], lambda d: str(d.begun)).values():
            arrived |= set(place.arrived(doubtful, doubtful[0].begun))
        if arrived:
            self._outbox.delivered(sorted(arrived), found=True)
        return arrived

    def _post_all(self, group: Iterable[Delivery]) -> None:
        for delivery in group:
            if not self._post(delivery):
                return

    def _post(self, delivery: Delivery) -> bool:
        """Try one; whether the next one for the same receiver is worth a try."""
        ids = [delivery.id]
        try:
            status = self._call(delivery)
        except Refused as error:
            self._fail(ids, error, answered=True, after_s=error.after_s)
            return not error.overloaded
        except DinoError as error:  # nobody there; or a key that is missing, a vault that is locked
            self._fail(ids, error)
            return not isinstance(error, Unreachable)
        self._outbox.delivered(ids, status=status)
        return True

    def _call(self, delivery: Delivery) -> int:
        to = delivery.to
        url = self._value(to.key_url) if to.key_url else to.target
        secret = self._value(to.key) if to.key else None
        try:
            now = self._outbox.clock()
            return post(delivery, url, secret=secret, now=now, timeout_s=self._timeout_s)
        except Unreachable as error:
            if to.key_url is None:
                raise
            why = error.message.removeprefix(f"{origin_of(urlsplit(url))}: ")
            raise Unreachable(f"{to}: {why}", heard=error.heard) from None
        except InvalidInput:
            if to.key_url is None:
                raise
            # What is in the vault is recorded nowhere, also where it is of no use.
            raise InvalidInput(f"the key {to.key_url!r} is no address of the web") from None

    def _value(self, key: str) -> str:
        if key not in self._secrets:
            self._secrets[key] = self._secret(key)
        return self._secrets[key]

    def _fail(
        self,
        ids: Sequence[str],
        error: Exception,
        *,
        answered: bool = False,
        after_s: float | None = None,
    ) -> None:
        reason = _reason(error)
        self._failed += self._outbox.failed(ids, reason, answered=answered, after_s=after_s)


def _lock(memory: Path, by: str) -> ProcessLock:
    return ProcessLock(memory / "outbox.lock", by=by, what="sending what is in the outbox")


def _by(
    deliveries: Iterable[Delivery], what: Callable[[Delivery], Any]
) -> dict[Any, list[Delivery]]:
    groups: dict[Any, list[Delivery]] = {}
    for delivery in deliveries:
        groups.setdefault(what(delivery), []).append(delivery)
    return groups


def _host_of(delivery: Delivery) -> str:
    """Who is called, as far as it is known before the vault is asked."""
    return urlsplit(delivery.to.target).netloc or str(delivery.to)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
