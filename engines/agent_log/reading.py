"""What can be asked of the record of models: runs, what waits, what was said and what was spent."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from engines import checks
from engines.agent_log.errors import NoSuchApproval, NoSuchRun
from engines.agent_log.fold import AgentFold, day_of
from engines.agent_log.model import (
    AgentRun,
    Approval,
    ModelCall,
    Spent,
    State,
    Step,
)
from engines.agent_log.transcript import steps_of
from engines.filed import FOLDERS, Filed
from engines.journal import START, Event, Journal, Position
from engines.liveness import LockFiles

_IN_LINE = 2048  # bytes of JSON
_files: weakref.WeakSet[LockFiles] = weakref.WeakSet()


def _let_go() -> None:
    for files in [*_files]:
        files.let_go()


os.register_at_fork(after_in_child=_let_go)


class AgentReadings(AgentFold):
    """The queries of the record; takes what `AgentLog` takes."""

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.time,
        clean: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        super().__init__(journal, clock=clock)
        self._clean = clean
        self._unkept: list[Event] = []  # of a journal in memory, which keeps none
        self._places: dict[str, Position] = {}  # of the runs that began here, before their lines
        beside, path = self.journal.snapshot_path, getattr(self.journal, "path", None)
        self._contents = Filed(
            beside.with_name(FOLDERS["agent_log"]) if beside else None,
            _IN_LINE,
            writes=self.journal.durable,
            what="a part of a transcript",
            unrecorded="it is not recorded",
        )
        self._files = LockFiles(path.with_suffix(".sessions") if path else None)
        _files.add(self._files)

    def record(self, event_type: str, **payload: Any) -> Event:
        event = super().record(event_type, at=self.clock(), **payload)
        if not self.journal.durable:
            self._unkept.append(event)
        return event

    def run(self, run: str) -> AgentRun:
        """
        The run of that id.

        Raises:
            NoSuchRun: There is none, or it is of long ago.
        """
        self.refresh()
        return self._seen(self._known(run))

    def runs(self, limit: int | None = None) -> list[AgentRun]:
        """The last *limit* runs, or all that are remembered, latest first."""
        self.refresh()
        latest = [*reversed(self._runs.values())][:limit]
        return [self._seen(run) for run in latest]

    def waiting(self) -> list[Approval]:
        """What people are to decide, oldest first."""
        self.refresh()
        return [one for one in self._approvals.values() if one.approved is None]

    def approval(self, approval: str) -> Approval:
        """
        The approval of that id, with the arguments that it covers.

        Raises:
            NoSuchApproval: There is none, or its run has ended.
        """
        self.refresh()
        one = self._approval(approval)
        if one.arguments is not None:
            return one
        asked = (step for step in self.steps(one.run) if isinstance(step, Approval))
        return next(step for step in asked if step.id == approval)

    def spent(self, day: str | None = None) -> Spent:
        """What was spent on a day such as "2026-11-22" (UTC), or today."""
        self.refresh()
        return self._days.get(day or day_of(self.clock()), Spent())

    def steps(self, run: str) -> list[Step]:
        """
        What happened in a run, in the order in which it began.

        Raises:
            NoSuchRun: There is none.
            FiledBroken: What was said is not there, or not as it was recorded.
        """
        return steps_of(self._events_of(run), self._contents)

    def messages(self, run: str) -> Any:
        """
        What a parked run goes on from; of any other the messages of its calls, one after the other.

        Raises:
            NoSuchRun: There is none.
            FiledBroken: They are not there, or not as they were recorded.
        """
        self.refresh()
        if kept := self._parked.get(run):
            return self._contents.kept("messages", kept)
        said: list[Any] = []
        for step in self.steps(run):
            if isinstance(step, ModelCall):
                for part in (step.request, step.response):
                    said += part if isinstance(part, list) else [part] if part is not None else []
        return said

    def parked(self, run: str) -> int:
        """Number of the line that parked a run last; 0 where it was not, or has ended."""
        self.refresh()
        return int(self._parked.get(run, {}).get("seq", 0))

    def sealed(self, run: str) -> Any:
        """What was put beside the messages of a parked run; None where nothing was."""
        self.refresh()
        return self._contents.kept("sealed", self._parked.get(run, {}))

    def goal(self, run: str) -> str:
        """All of a run's goal."""
        begun = next(self._events_of(run), {})
        return str(self._contents.kept("whole_goal", begun) or self._known(run).goal)

    def output(self, run: str) -> Any:
        """What a run ended with; None where it has not."""
        ended = (e for e in self._events_of(run) if e["event_type"] == "agent_run_finished")
        return self._contents.kept("output", next(ended, {}))

    # --- below the face ----------------------------------------------------------------------

    def _known(self, run: str) -> AgentRun:
        found = self._runs.get(run)
        if found is None:
            near = checks.did_you_mean(run, self._runs)
            raise NoSuchRun(f"no run {run!r}{near}", hint="`dino agent list` shows them")
        return found

    def _approval(self, approval: str) -> Approval:
        found = self._approvals.get(approval)
        if found is None:
            near = checks.did_you_mean(approval, self._approvals)
            raise NoSuchApproval(
                f"nothing waits for an approval {approval!r}{near}",
                hint="`dino approve` shows what waits",
            )
        return found

    def _seen(self, run: AgentRun) -> AgentRun:
        lost = run.state is State.RUNNING and self._is_lost(run)
        return replace(run, state=State.INTERRUPTED) if lost else run

    def _is_lost(self, run: AgentRun) -> bool:
        return self._files.is_free(run.id) or self._files.is_gone(run.id, run.pid)

    def _events_of(self, run: str) -> Iterator[Event]:
        self.refresh()
        found = self._known(run)
        if not self.journal.durable and self._unkept:
            yield from (event for event in self._unkept if event.get("run") == run)
            return
        for events, _ in self.journal.read(self._places.get(run) or self._before(found.seq)):
            for event in events:
                if event.get("run") == run:
                    yield event

    def _before(self, seq: int) -> Position:
        """A place in the journal before that line, the last that is known without reading."""
        if not isinstance(self.journal, Journal):
            return START
        begins = [*(s.begin() for s in self.journal.sealed()), self.journal.live_begin()]
        return max((b for b in begins if b.seq <= seq), key=lambda b: b.seq, default=begins[0])
