"""
The skills that subscribe, in a service: each message on their subjects becomes a task.

    claimed → submitted, under a key that names skill and message → acknowledged

Whatever dies in between, the message is claimed again, and the key knows its task: each message is
submitted once, in the order of the record.  One process at a time does this.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.message_bus.hand_over import HandOver
from dino_os.message_bus.hearers import skills_that_hear
from dino_os.process_lock import Busy, ProcessLock
from dino_os.work.duty import Duty
from engines.journal import RecordedJournal

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace

_LOOK_EVERY_S = 15.0  # for skills that are new
_AGAIN_S = 1.0


class BusDuty(Duty):
    """
    Has the skills of *workspace* run that hear messages.

    Args:
        once: Only for what was said before the first turn: what follows from it may have no end.
    """

    def __init__(self, workspace: Workspace, *, once: bool = False) -> None:
        self._workspace = workspace
        self._upto = math.inf
        self._is_bounded = not once
        self._lock = ProcessLock(
            workspace.memory / "bus_skills.lock",
            by=workspace.operator,
            what="handing messages to skills",
        )
        self._deliveries = RecordedJournal(workspace.memory / "bus_deliveries.jsonl")
        self._heard_to: int | None = None  # the record's end when the skills were last looked at
        self._handing: dict[str, HandOver] = {}
        self._more = False
        self._quiet: object = None  # what it was like when nothing was left to do
        self._skills: list[tuple[str, Skill, str]] = []
        self._recorded: tuple[int, int] | None = None
        self._looked_at = -math.inf
        self.watches: Sequence[Path] = (
            workspace.memory / "bus.jsonl",
            workspace.memory / "bus_deliveries.jsonl",
            workspace.memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    def has_begun(self) -> bool:
        """From the start: a subscription begins before anything is said."""
        return True

    def turn(self) -> float | None:
        """Submit what was said since; say when to look for new skills, since the epoch."""
        end = self._workspace.bus.messages.end()
        if not self._is_bounded:
            self._upto, self._is_bounded = end, True
        recorded = end, self._deliveries.length()
        heard = self._skills_now(recorded)
        seen = recorded, [name for name, *_ in heard]
        again = [_LOOK_EVERY_S]
        try:
            if heard and seen != self._quiet:
                again += self._hand_over(heard)
                self._quiet = seen if min(again) == _LOOK_EVERY_S else None
            self._heard_to = end
        except Busy:
            again.append(_AGAIN_S)
        self._more = not all(again)
        return time.time() + min(again)

    def finish(self) -> bool:
        """Whether the last turn ended before all was submitted that could be."""
        return self._more

    def _skills_now(self, recorded: tuple[int, int]) -> list[tuple[str, Skill, str]]:
        """Those that hear something; read anew where there is news, else once a second at most."""
        now = time.monotonic()
        if recorded != self._recorded or now - self._looked_at >= _AGAIN_S:
            self._skills = [*skills_that_hear(self._workspace.plugins.skills())]
            self._recorded, self._looked_at = recorded, now
        return self._skills

    def _hand_over(self, heard: Sequence[tuple[str, Skill, str]]) -> list[float]:
        with self._lock.held():
            return [self._handed(name, on).turn(skill) for name, skill, on in heard]

    def _handed(self, name: str, subject: str) -> HandOver:
        if name not in self._handing:
            self._handing[name] = HandOver(self._workspace, name, subject, self._begin, self._upto)
        return self._handing[name]

    def _begin(self) -> int:
        """What is said once a skill is there is for it, also before a turn has seen the skill."""
        return self._workspace.bus.messages.end() if self._heard_to is None else self._heard_to
