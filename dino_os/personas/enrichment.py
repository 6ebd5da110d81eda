"""
What models add to the signals of one cycle.

The deterministic personas do all their work first, and their result stands wherever a model is
missing, too slow, wrong or out of bounds.  The gravest signals, a bounded number, are shown to a
model one by one.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from dino_os.errors import DinoError
from dino_os.personas.bounds import changed
from dino_os.personas.model import ROLES, Rules, Said, Told
from dino_os.personas.session import Session, open_session
from engines.personas import Escalation, Observation, PersonaSignal, Row

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_MOST_FAILURES = 3  # on end, each with one record

_Key = tuple[Any, ...]
Open = Callable[[str], Session]
"""Begins a run of a model; its goal is told."""


class Enrichment:
    """
    The part of models in one cycle.

    Args:
        clock: Seconds, only ever forward.
    """

    def __init__(
        self, rules: Rules, open_: Open, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rules = rules
        self._open = open_
        self._clock = clock
        self._session: Session | None = None
        self._ends = 0.0
        self._failures = 0
        self._stopped = ""
        self._gravest: list[tuple[float, int, _Key, Row]] = []
        self._count = count()
        self.told = Told()

    def see(
        self, signals: Iterable[PersonaSignal], observations: Iterable[Observation] = ()
    ) -> None:
        """Take note of signals that came in, with the records they were read from."""
        rows = {seen.line: seen.row for seen in observations}
        for signal in signals:
            row = rows.get((signal.metadata or {}).get("line", 0), {})
            one = (signal.severity, -next(self._count), _key(signal), row)
            if len(self._gravest) < self._rules.most:
                heapq.heappush(self._gravest, one)
            else:
                heapq.heappushpop(self._gravest, one)

    def apply(
        self,
        signals: Sequence[PersonaSignal],
        escalations: Sequence[Escalation],
        critical_threshold: float,
    ) -> tuple[Sequence[PersonaSignal], Sequence[Escalation]]:
        """Weighed signals and their escalations, with what the models add to the gravest."""
        rows = {key: row for _, _, key, row in self._gravest}
        enriched, escalated = [], [*escalations]
        for signal in signals:
            after = signal
            if _key(signal) in rows:
                after = self._enriched(signal, rows[_key(signal)])
            if after is not signal:
                _escalate(escalated, signal, after, critical_threshold)
            enriched.append(after)
        return enriched, escalated

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the models' run on record."""
        if self._session is None:
            return
        session, self._session = self._session, None
        outcome = "ok" if self.told.changes else "ok_no_action"
        if kind is not None:
            outcome = "cancelled" if issubclass(kind, KeyboardInterrupt) else "error"
        elif self._stopped and not self.told.changes:
            outcome = "error"
        try:
            session.finish(outcome, self.told.as_dict(), self._stopped or None)
        except DinoError as error:  # what was planned stands, and holds its changes
            reason = f"the end of its run is not on record: {error.message}"
            self.told.fallbacks.append({"signal": "", "reason": reason})

    def _enriched(self, signal: PersonaSignal, row: Row) -> PersonaSignal:
        name = signal.task_identifier or signal.summary
        record = _record(signal, row)
        said = self._said(name, record)
        if said is None:
            return signal
        after, changes, refused = changed(
            signal, said, self._rules, record=record, run=self.told.run
        )
        self.told.changes += [{"signal": name, **change.as_dict()} for change in changes]
        self.told.refused += [{"signal": name, "reason": reason} for reason in refused]
        return after

    def _said(self, name: str, record: Mapping[str, Any]) -> Said | None:
        """What a model says, or None: the deterministic result stands."""
        if not self._stopped:
            try:
                return self._ask(record)
            except Exception as error:  # noqa: BLE001  no model's failure is the cycle's
                self._note(error)
                reason = _reason(error)
                self.told.fallbacks.append({"signal": name, "reason": reason})
                return None
        self.told.fallbacks.append({"signal": name, "reason": f"not asked: {self._stopped}"})
        return None

    def _ask(self, record: Mapping[str, Any]) -> Said:
        if self._session is None:
            self._session = self._open(f"enrich signals: {', '.join(sorted(self._rules.personas))}")
            self._ends = self._clock() + self._rules.timeout_s
            self.told.run = self._session.run
        left = self._ends - self._clock()
        if left <= 0:
            raise TimeoutError
        from dino_os.personas.asking import ask  # noqa: PLC0415  the library of models is large

        self.told.asked += 1
        said = ask(self._session, record, self._rules, timeout_s=left)
        self._failures = 0
        return said

    def _note(self, error: Exception) -> None:
        """Ask no more where another question would fail too."""
        self._failures += 1
        if _is_of_all(error) or self._failures >= _MOST_FAILURES:
            self._stopped = _reason(error)


def enrichment_of(
    workspace: Workspace, skills: Iterable[str], *, personas: Iterable[str] | None = None
) -> Enrichment | None:
    """
    That of the workspace's settings; None where no persona asks a model.

    A rehearsal asks none: what a model says is recorded, and a rehearsal records nothing.

    Args:
        skills: Those that agents have.
        personas: Those that ask, whatever the settings say.
    """
    settings = workspace.config.settings.personas
    asking = {name for name in ROLES if getattr(settings, name).model}
    asking = asking if personas is None else {*personas}
    if not asking or workspace.rehearsal:
        return None
    rules = Rules(
        personas=frozenset(asking),
        skills=tuple(sorted({*skills})),
        severity_band=settings.risk.severity_band,
        most=settings.most,
        timeout_s=settings.timeout_s,
    )
    return Enrichment(rules, lambda goal: open_session(workspace, goal))


def _record(signal: PersonaSignal, row: Row) -> dict[str, Any]:
    """What a model is shown: the signal, and the record it was read from."""
    return {
        "signal_summary": signal.summary,
        "zone": signal.zone,
        "sector": signal.sector,
        "signal_severity": round(signal.severity, 4),
        "required_skills": [*signal.required_skills],
        **{f"column {name}": value for name, value in row.items()},
    }


def _key(signal: PersonaSignal) -> _Key:
    """What neither weighing nor the name of its source changes."""
    line = (signal.metadata or {}).get("line")
    return (line, signal.task_identifier, signal.summary, signal.zone, signal.sector)


def _escalate(
    escalated: list[Escalation], before: PersonaSignal, after: PersonaSignal, critical: float
) -> None:
    """Say in *escalated* what became of a signal that models had a part in."""
    argument = (after.metadata or {}).get("argument")
    because = f"; a model: {argument}" if argument else ""
    for place, known in enumerate(escalated):
        if (known.summary, known.zone, known.sector, known.severity) == (
            *(before.summary, before.zone, before.sector),
            before.severity,
        ):
            reason = f"{known.reason}{because}"
            escalated[place] = replace(
                known, summary=after.summary, severity=after.severity, reason=reason
            )
            return
    if after.severity >= critical:
        raised = f"raised by a model from {before.severity:.2f}"
        reason = f"severity {after.severity:.2f} ({raised}){because}"
        escalated.append(
            Escalation(after.summary, after.zone, after.sector, after.severity, reason)
        )


def _is_of_all(error: Exception) -> bool:
    """Whether it is no matter of one record: nobody answers, the budget is spent, time is up."""
    if isinstance(error, DinoError):
        return error.exit_code != DinoError.exit_code
    return _is_late(error)


def _is_late(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or type(error).__name__ == "RunTimedOut"


def _reason(error: Exception) -> str:
    """Why, without a word of what was asked or answered."""
    if isinstance(error, DinoError):
        return error.message
    if _is_late(error):
        return "no answer within personas.timeout_s"
    if type(error).__name__ == "UnexpectedModelBehavior":
        return "the answer does not fit the schema"
    return type(error).__name__
