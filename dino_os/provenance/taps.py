"""What stands behind `tap`: a skill's, which lasts as long as its run, and a program's."""

from __future__ import annotations

import atexit
import contextlib
import os
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from dino_os import run_context
from engines import checks
from engines.errors import DinoError, InvalidInput
from engines.provenance import Tap

if TYPE_CHECKING:
    from engines.provenance import ProvenanceDomain

_WORDS = frozenset(
    {
        *("ok", "ok_no_action", "error", "timeout"),
        *("cancelled", "denied", "blocked", "delivery_failed"),
    }
)


class ProgramTap:
    """The events of a program."""

    CALLS: ClassVar = frozenset({"tap", "flush"})

    def __init__(self, domain: ProvenanceDomain) -> None:
        self._domain = domain
        self._begin()
        _open.add(self)

    def tap(self, event_type: str, data: dict[str, Any], **more: Any) -> None:
        self._own().tap(event_type, data, **_checked(more))

    def flush(self) -> int:
        return self._own().flush()

    def _begin(self) -> None:
        self._tap, self._process = Tap(self._domain), os.getpid()

    def _own(self) -> Tap:
        if self._process != os.getpid():  # forked: what waits is its parent's
            self._begin()
        return self._tap


class SkillTap:
    """
    The events of one run of a skill.

    Args:
        skill: Whose; no event can say it is another's.
    """

    def __init__(self, domain: ProvenanceDomain, skill: str) -> None:
        self._tap = Tap(domain)
        self._skill = skill

    def tap(self, event_type: str, data: dict[str, Any], **more: Any) -> None:
        here = run_context.current()
        run = here.run_id if here else None
        own = {**data, "skill": self._skill}
        self._tap.tap(f"skill.{event_type}", own, run, **_checked(more))

    def flush(self) -> int:
        return self._tap.flush()

    def run_ended(self) -> dict[str, Any]:
        with contextlib.suppress(DinoError):  # the run is done, whatever becomes of what it said
            self.flush()
        return {}


def _checked(more: dict[str, Any]) -> dict[str, Any]:
    outcome, duration_s = more.pop("outcome", None), more.pop("duration_s", None)
    if outcome is not None and outcome not in _WORDS:
        raise InvalidInput(
            f"no outcome {outcome!r:.60}", hint=f"there are {', '.join(sorted(_WORDS))}"
        )
    if duration_s is not None:
        duration_s = checks.at_least(duration_s, 0.0, "duration_s")
    hashes = {name: more.pop(name, ()) for name in ("inputs", "outputs")}
    if more:
        raise InvalidInput(f"an event has no {', '.join(sorted(more))}")
    return {"outcome": outcome, "duration_s": duration_s, **hashes}


_open: WeakSet[ProgramTap] = WeakSet()


@atexit.register
def _flush_all() -> None:
    for tap in list(_open):
        with contextlib.suppress(DinoError, OSError):  # the process ends, whoever looks
            tap.flush()
