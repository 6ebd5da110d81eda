"""Both directions of a replication, as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engines.replication.model import Options, Peer, Report
from engines.replication.replicator import Replicator


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What each direction did; None for one that was not asked for."""

    push: Report | None
    pull: Report | None

    @property
    def ok(self) -> bool:
        return all(one.ok for one in (self.push, self.pull) if one)

    def as_dict(self) -> dict[str, Any]:
        sides = {"push": self.push, "pull": self.pull}
        return {"ok": self.ok, **{name: one and one.as_dict() for name, one in sides.items()}}


class Sync:
    """
    *here* and *there*, kept the same.

    Args:
        push: From here to there.
        pull: From there to here.
        more: As `Replicator` takes them.
    """

    def __init__(
        self,
        here: Peer,
        there: Peer,
        options: Options | None = None,
        *,
        push: bool = True,
        pull: bool = True,
        **more: Any,
    ) -> None:
        self.options = options or Options()
        self.push = Replicator(here, there, self.options, **more) if push else None
        self.pull = Replicator(there, here, self.options, **more) if pull else None
        self._errors: list[Exception] = []

    def run(self) -> SyncReport:
        """
        Replicate both ways; continuously until `stop`.

        Raises:
            ReplicationError: One of the two cannot be done.  The other one was, if it could be.
        """
        if self.options.continuous:
            self._together()
        else:
            # What is pushed comes back as known, which costs this side a glance; what is pulled
            # would have to be asked about over the network.
            for one in self._sides:
                self._run(one)
        if self._errors:
            raise self._errors[0]
        return self.report

    @property
    def report(self) -> SyncReport:
        push, pull = (one.report if one else None for one in (self.push, self.pull))
        return SyncReport(push, pull)

    def stop(self) -> None:
        """Have `run` return."""
        self._each(Replicator.stop)

    def nudge(self) -> None:
        """Try again now, what waits to: the network is back."""
        self._each(Replicator.nudge)

    @property
    def _sides(self) -> list[Replicator]:
        return [one for one in (self.push, self.pull) if one]

    def _each(self, do: Callable[[Replicator], None]) -> None:
        for one in self._sides:
            do(one)

    def _together(self) -> None:
        threads = [
            threading.Thread(target=self._run, args=(one,), daemon=True) for one in self._sides
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, one: Replicator) -> None:
        try:
            one.run()
        except Exception as error:  # noqa: BLE001  raised by whoever called `run`
            self._errors.append(error)
            if self.options.continuous:  # half of it, unnoticed, would be worse than none
                self.stop()


def replicate(source: Peer, target: Peer, options: Options | None = None, **more: Any) -> Report:
    """
    Replicate from *source* to *target*; `more` as `Replicator` takes it.

    Raises:
        ReplicationError: It cannot be done; `report` says how far it got.
    """
    return Replicator(source, target, options, **more).run()


def sync(here: Peer, there: Peer, options: Options | None = None, **more: Any) -> SyncReport:
    """
    Replicate both ways; `more` as `Sync` takes it.

    Raises:
        ReplicationError: As `Sync.run`.
    """
    return Sync(here, there, options, **more).run()
