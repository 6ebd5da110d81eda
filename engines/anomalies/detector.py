"""
All detectors over all series: events in, anomalies out.

    detector = AnomalyDetector()
    for anomaly in detector.observe("run_finished", at, source="runs", values={"seconds": 0.8}):
        print(anomaly.message)
    detector.look(now)  # what should have come and did not

Time comes in with the events; nothing is drawn by chance: the same events give the same anomalies,
in one process or, by `as_dict` and `from_dict`, in several.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import isfinite
from typing import Any, Self, TypeVar

from engines.anomalies.model import Anomaly, AnomalyKind, Finding, Severity
from engines.anomalies.rules import AnomalyRules, Expectation
from engines.anomalies.series import Found, Series, Source
from engines.checks import finite, name
from engines.errors import InvalidInput
from engines.snapshot import pack, unpack

KEPT = 1000
_MOST_SOURCES = 100
_NOW_AND_THEN = 10
_FORMAT = 2
# Of these a source's series tell of one cause: what starts too often also ends too often.
_SHARED = (AnomalyKind.BURST, AnomalyKind.RATE_SPIKE)
_NOTHING: Mapping[str, Any] = {}
_USUAL = AnomalyRules()

T = TypeVar("T")


@dataclass(slots=True)
class _State:
    series: dict[str, Series] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    due: list[tuple[float, str]] = field(default_factory=list)
    cooling: dict[str, tuple[float, int]] = field(default_factory=dict)
    found: deque[Anomaly] = field(default_factory=lambda: deque(maxlen=KEPT))
    counts: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    began: float | None = None
    missing: dict[str, None] = field(default_factory=dict)


class AnomalyDetector:
    """
    Watches events.

    Of each series it keeps a bounded amount, and of series so many as the rules say.
    """

    def __init__(self, rules: AnomalyRules = _USUAL) -> None:
        self.rules = rules
        self._state = _State()

    def observe(
        self,
        kind: str,
        at: float,
        *,
        source: str = "",
        run: str = "",
        values: Mapping[str, float] = _NOTHING,
        labels: Mapping[str, str] = _NOTHING,
        ok: bool | None = None,
        ref: str | int = "",
    ) -> list[Anomaly]:
        """
        Take an event; what is unusual with it.

        Args:
            at: Its time, in seconds since the epoch.  One before its series' last counts as that.
            source: Where it comes from: a journal, a program.
            run: What it belongs to; unusual sequences are looked for within a run.
            values: Numbers whose drift is looked for, as durations and sizes.
            labels: Words of small sets whose mix is looked for.
            ok: Whether what it tells of succeeded; None where that is no question.
            ref: What it is known by, for the evidence.

        Raises:
            InvalidInput: The kind is no name, or a number none.
        """
        if not (type(kind) is str and kind and type(at) is float and isfinite(at)):
            kind, at = name(kind, "kind"), finite(at, "at")
        for what, value in values.items():
            if type(value) is not float and type(value) is not int:
                raise InvalidInput(f"{what} must be a number, found {value!r:.60}")
        state = self._state
        if state.began is None:
            state.began = at
        of_source = self._latest(state.sources, source, Source, _MOST_SOURCES)
        series_name = f"{source}/{kind}" if source else kind
        series = self._latest(state.series, series_name, Series, self.rules.most_series)
        whole = source or "(all)"
        told = [
            *self._tell(series_name, series.add(at, run, self.rules), at, run, ref, source=source),
            *self._tell(
                whole, of_source.add(kind, at, run, self.rules), at, run, ref, source=source
            ),
        ]
        if values or labels or ok is not None:
            measured = series.measure(values, labels, ok=ok)
            told += self._tell(series_name, measured, at, run, ref, source=source)
        # The irregular is asked now and then whether it has become regular.
        comings = series.comings
        if series.due is None and comings.seen % _NOW_AND_THEN == 0 and comings.is_known:
            self._wait_for(series_name, series)
        if state.missing:
            state.missing.pop(series_name, None)
        return told

    def look(self, now: float) -> list[Anomaly]:
        """
        What should have come by *now* and did not: learned of regular series, and as the rules say.

        Each is told once, until it comes again.  Only when all events up to *now* were observed.
        """
        state = self._state
        told: list[Anomaly] = []
        while state.due and state.due[0][0] <= now:
            due, which = heappop(state.due)
            series = state.series.get(which)
            # What was dropped and came again waits for another time.
            if series is None or series.gaps.last is None or series.due != due:
                continue
            series.due = None
            longest = series.comings.longest_expected
            if series.gaps.last + longest > now:
                self._wait_for(which, series)
                continue
            told += self._missing(which, now - series.gaps.last, longest, now, Severity.MEDIUM)
        if state.began is None:
            state.began = now
        for expected, waited in self._overdue(now):
            state.missing[expected.series] = None
            every_s = expected.every_s
            told += self._missing(expected.series, waited, every_s, now, None)
        return told

    # --- queries -----------------------------------------------------------------------------

    def is_due(self, now: float) -> bool:
        """Whether `look` would tell something; it need not be asked otherwise."""
        return any(self._silent(now)) or any(self._overdue(now))

    @property
    def anomalies(self) -> list[Anomaly]:
        """What was found, oldest first; the last `KEPT`."""
        return list(self._state.found)

    @property
    def counts(self) -> Counter[str]:
        """How often each kind was found, since the beginning."""
        return Counter(self._state.counts)

    @property
    def series(self) -> int:
        """How many series are watched."""
        return len(self._state.series)

    @property
    def dropped(self) -> int:
        """How many series (and sources) made way for others."""
        return self._state.dropped

    # --- going on elsewhere ------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Its state as JSON, from which `from_dict` goes on."""
        return {"format": _FORMAT, "state": pack(self._state)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], rules: AnomalyRules = _USUAL) -> Self:
        """
        One that goes on where `as_dict` was called.

        Raises:
            InvalidInput: That is another version's, or no state at all.
        """
        try:
            state = unpack(data["state"]) if data["format"] == _FORMAT else None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InvalidInput(f"not the state of a detector: {error}") from None
        if not isinstance(state, _State):
            raise InvalidInput("not the state of a detector of this version")
        found = cls(rules)
        found._state = state
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnomalyDetector) and self._state == other._state

    __hash__ = None  # type: ignore[assignment]

    def to_plain(self) -> dict[str, Any]:
        """For snapshots of an engine that has one."""
        return self.as_dict()

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """For snapshots: without its rules, which whoever restores it sets."""
        return cls.from_dict(data)

    # --- below the face ----------------------------------------------------------------------

    def _wait_for(self, which: str, series: Series) -> None:
        last, longest = series.gaps.last, series.comings.longest_expected
        if last is None or not isfinite(longest):
            return
        series.due = last + longest
        due = self._state.due
        heappush(due, (series.due, which))
        if len(due) > 2 * self.rules.most_series:
            due[:] = [(s.due, name) for name, s in self._state.series.items() if s.due is not None]
            heapify(due)

    def _silent(self, now: float) -> Iterator[bool]:
        for due, which in self._state.due:
            series = self._state.series.get(which) if due <= now else None
            if series is not None and series.due == due and series.gaps.last is not None:
                yield series.gaps.last + series.comings.longest_expected <= now

    def _overdue(self, now: float) -> Iterator[tuple[Expectation, float]]:
        state = self._state
        for expected in self.rules.expected:
            known = state.series.get(expected.series)
            last = known.gaps.last if known else None
            waited = now - ((state.began or now) if last is None else last)
            if waited > expected.every_s and expected.series not in state.missing:
                yield expected, waited

    def _missing(
        self, which: str, waited: float, longest: float, now: float, fixed: Severity | None
    ) -> list[Anomaly]:
        """Only what somebody asked for may be bad, however long it is awaited."""
        evidence = {"expectation": "learned" if fixed else "configured", "unit": "s without it"}
        found = Finding(waited, longest, round(longest, 1), round(waited, 1), evidence, fixed)
        return self._tell(which, [(AnomalyKind.SILENCE, "", found)], now, "", "")

    def _tell(
        self,
        series: str,
        found: Iterable[Found],
        at: float,
        run: str,
        ref: str | int,
        *,
        source: str = "",
    ) -> list[Anomaly]:
        told = []
        for kind, part, finding in found:
            known = {what: value for what, value in (("ref", ref), ("run", run)) if value != ""}
            which = f"{series}/{part}" if part else series
            key = f"{kind.value} {source if kind in _SHARED else which}"
            until, held_back = self._state.cooling.get(key, (at, 0))
            if until > at:
                self._state.cooling[key] = until, held_back + 1
                continue
            if held_back:
                known["held_back"] = held_back
            told.append(self._made(kind, which, finding, at, known))
            self._cool(key, at)
        return told

    def _made(
        self, kind: AnomalyKind, which: str, finding: Finding, at: float, known: Mapping[str, Any]
    ) -> Anomaly:
        facts = (finding.expected, finding.seen, finding.statistic, finding.threshold)
        evidence = {**finding.evidence, **known}
        anomaly = Anomaly(kind, which, finding.severity, *facts, at, evidence)
        self._state.found.append(anomaly)
        self._state.counts[kind.value] += 1
        return anomaly

    def _cool(self, key: str, at: float) -> None:
        cooling = self._state.cooling
        cooling.pop(key, None)
        cooling[key] = at + self.rules.cool_down_s, 0
        if len(cooling) > self.rules.most_series:
            del cooling[next(iter(cooling))]

    def _latest(self, known: dict[str, T], which: str, kind: type[T], most: int) -> T:
        """That one, which stands last now; the first makes way where there are too many."""
        found = known.pop(which, None)
        if found is None:
            found = kind()
            if len(known) >= most:
                del known[next(iter(known))]
                self._state.dropped += 1
        known[which] = found
        return found
