"""
What happened, and what led to what.

Events come in redacted or not at all; what they say of entities, activities and agents becomes a
graph.  The state, a fold over `provenance_log.jsonl`, is counts, the last events and how far other
journals were followed; the graph lies in an index beside the journal, which can be deleted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from engines import checks
from engines.anomalies import Anomaly, AnomalyDetector, AnomalyRules
from engines.engine import Engine
from engines.home import own_journal
from engines.journal import START, Event, Journal, Position
from engines.provenance.graph import Graph
from engines.provenance.index import Index
from engines.provenance.model import (
    Edge,
    Node,
    Relation,
    Tapped,
    checked_hashes,
    checked_id,
)
from engines.provenance.redacted import Redacted, Redactor
from engines.provenance.spans import GOOD

_IN_ONE_LINE = 200  # statements
_MOST_KINDS = 1_000
_OTHER = "other"
_REMEMBERED = 1_000
_UNTOLD = 1_000
_TEXTS = ("outcome", "parent", "traceparent")
_NO_VALUES: Mapping[str, float] = {}
EVENT_TAPPED = "event_tapped"


class ProvenanceDomain(Engine):
    """
    The event tap and the graph of provenance.

    Args:
        provenance_log_path: The journal's file; None is the workspace's own.
        journal: Instead of a file, where one is open already.
        redactor: What takes secrets and personal data out; None: `engines.redaction`'s.
        rules: When something is an anomaly.
        remembered: How many of the last events are held in memory.
        clock: Seconds since the epoch.

    Attributes:
        anomaly_detector: What looks for anomalies in all that is tapped; part of the folded state.
    """

    def __init__(
        self,
        provenance_log_path: str | Path | None = None,
        *,
        journal: Journal | None = None,
        redactor: Redactor | None = None,
        rules: AnomalyRules | None = None,
        remembered: int = _REMEMBERED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redactor = redactor
        self._rules = rules or AnomalyRules()
        self._news: list[Anomaly] = []  # of the event that was folded last
        self._remembered = remembered
        found = journal or own_journal("provenance_log", provenance_log_path, clock=clock)
        path = found.path.with_suffix(".db") if found.durable else None
        self._index = Index(path)
        super().__init__(found, clock=clock)

    def reset(self) -> None:
        self._kinds: dict[str, int] = {}
        self._totals = {"events": 0, "statements": 0, "anomalies": 0, "dropped": 0, "fell_out": 0}
        self._recent: deque[Event] = deque(maxlen=self._remembered)
        self._cursors: dict[str, Position] = {}
        self._numbers: dict[str, int] = {}
        self._untold: deque[Event] = deque(maxlen=_UNTOLD)
        self.anomaly_detector = AnomalyDetector(self._rules)

    # --- commands ----------------------------------------------------------------------------

    def tap_event(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        **more: Any,
    ) -> Event:
        """
        Record that something happened; redacted first, durable when this returns.

        Within `deciding()` many share one sync; `Tap` gathers them without.

        Args:
            more: Further fields of `Tapped`.

        Raises:
            InvalidInput: What it is called is no text, *data* no JSON object, or a hash none.
        """
        return self.tap([self.tapped(event_type, data, run_id, **more)])[0]

    def tapped(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        **more: Any,
    ) -> Tapped:
        """The event, checked, as `tap` takes it."""
        kind = checked_id(event_type, "what happened")
        run = None if run_id is None else checked_id(run_id, "a run")
        own = checks.mapping(data, "data")
        at = more.pop("at", None)
        more |= {n: checked_hashes(more[n], n) for n in ("inputs", "outputs") if n in more}
        more |= {n: checked_id(more[n], n) for n in _TEXTS if more.get(n) is not None}
        if more.get("duration_s") is not None:
            more["duration_s"] = checks.at_least(more["duration_s"], 0.0, "duration_s")
        return Tapped(kind, self.clock() if at is None else at, run, data=own, **more)

    def tap(self, events: Iterable[Tapped]) -> list[Event]:
        """As `tap_event`, of several, all or none."""
        return self.append(self.redacted(one) for one in events)

    def redacted(self, event: Tapped) -> Redacted:
        """*event* as it may be stored."""
        return Redacted(event.as_payload(), self.redactor)

    def append(self, events: Iterable[Redacted], *, dropped: int = 0) -> list[Event]:
        """
        Record events that are redacted already, all or none.

        Args:
            dropped: How many more there were, for which there was no room.
        """
        clean = list(events)
        with self.deciding():
            if dropped:
                self.record("events_dropped", count=dropped)
            return [self._take(one) for one in clean]

    def follow(
        self,
        journal: str,
        since: Position,
        events: Iterable[Tapped],
        behind: Position,
        *,
        replaced: bool = False,
    ) -> bool:
        """
        Take over what another journal says between two places, together with how far it was read.

        Args:
            replaced: Whether another journal of that name was in its place up to *since*.

        Returns:
            False where somebody else has followed it meanwhile: *since* is not its cursor any more.
        """
        clean = [self.redacted(one) for one in events]
        with self.deciding():
            if self._cursors.get(journal, START) != since:
                return False
            for one in clean:
                self._take(one)
            place = {"line": behind.seq, "hash": behind.parent_hash, "offset": behind.offset}
            more = {"number": self.number_of(journal) + 1} if replaced else {}
            self.record("journal_followed", journal=journal, **place, **more)
        return True

    def add_provenance_edge(
        self,
        source: str,
        target: str,
        rule_id: str,
        run_id: str,
        cost: float = 1.0,
        *,
        relation: Relation = Relation.DERIVED_FROM,
    ) -> None:
        """Record that *source* led to *target*, by a rule and in a run; both are made if new."""
        told = {"rule": rule_id, "run": run_id, "cost": checks.at_least(cost, 0.0, "cost")}
        ends = checked_id(target, "target"), checked_id(source, "source")
        self.add_statements(edges=[Edge(Relation(relation), *ends, told)])

    def add_statements(
        self,
        nodes: Iterable[Node] = (),
        edges: Iterable[Edge] = (),
        namespaces: Mapping[str, str] | None = None,
    ) -> None:
        """Record statements of PROV, all or none; what is said again is said once."""
        rows = {
            "nodes": [node.as_row() for node in nodes],
            "edges": [edge.as_row() for edge in edges],
        }
        payloads: list[dict[str, Any]] = [{"namespaces": dict(namespaces)}] if namespaces else []
        for name, all_rows in rows.items():
            payloads += [
                {name: all_rows[at : at + _IN_ONE_LINE]}
                for at in range(0, len(all_rows), _IN_ONE_LINE)
            ]
        clean = [Redacted(payload, self.redactor) for payload in payloads]
        with self.deciding():
            for one in clean:
                self._record_redacted("statements_added", one)

    def look(self) -> int:
        """
        Find what should have come by now and did not; how many anomalies that is.

        Only where all that happened was tapped, and followed, up to now.
        """
        with self.deciding():
            now = self.clock()
            if not self.anomaly_detector.is_due(now):
                return 0
            self.record("silence_found", at=now)
            found = self._news
            self._record_anomalies(found)
        return len(found)

    def alerts_told(self, upto: int) -> None:
        """Note that somebody was told of the anomalies up to that line."""
        with self.deciding():
            if any(event["seq"] <= upto for event in self._untold):
                self.record("alerts_told", upto=upto)

    def _take(self, event: Redacted) -> Event:
        taken = self._record_redacted(EVENT_TAPPED, event)
        if self._news:
            self._record_anomalies(self._news)
        return taken

    def _record_anomalies(self, found: Iterable[Anomaly]) -> None:
        for one in found:
            told = {n: v for n, v in one.as_dict().items() if n != "timestamp"}
            redacted = Redacted({**told, "at": one.timestamp}, self.redactor)
            self._record_redacted("anomaly_detected", redacted)

    def _record_redacted(self, event_type: str, redacted: Redacted) -> Event:
        event = self.record(event_type, **redacted.payload)
        if not self.journal.durable:
            self._index.catch_up(self.journal)
            self._index.take([event])
        return event

    # --- queries -----------------------------------------------------------------------------

    @property
    def redactor(self) -> Redactor:
        """What takes secrets and personal data out of all that is recorded."""
        if self._redactor is None:
            from engines.redaction import Redactor as Own  # noqa: PLC0415  by the first event

            self._redactor = Own()
        return self._redactor

    @property
    def graph(self) -> Graph:
        """
        The graph as the journal has it now.

        Raises:
            JournalBroken: A line of the journal does not stand.
        """
        self._index.catch_up(self.journal)
        return Graph(self._index)

    @property
    def alerts(self) -> list[Event]:
        """The anomalies of which nobody was told yet, oldest first."""
        return list(self._untold)

    def cursor(self, journal: str) -> Position:
        """How far another journal was followed."""
        return self._cursors.get(journal, START)

    @property
    def followed(self) -> dict[str, int]:
        """How many lines of which journals were followed."""
        return {name: place.seq for name, place in sorted(self._cursors.items())}

    def number_of(self, journal: str) -> int:
        """The how manyth journal of that name is followed: 1 until another is in its place."""
        return self._numbers.get(journal, 1)

    def recent(self, count: int | None = None) -> list[Event]:
        """The last events that were tapped, oldest first; no more than are remembered."""
        found = list(self._recent)
        return found if count is None else found[max(len(found) - count, 0) :]

    def get_provenance_graph(self) -> dict[str, Any]:
        """All of it: `nodes` by identifier, `edges` from what led to what, and their counts."""
        graph = self.graph
        nodes = [node.id for node in graph.nodes()]
        edges = [
            {
                "source": edge.cause,
                "target": edge.effect,
                "relation": edge.relation.value,
                "rule_id": edge.attributes.get("rule"),
                "run_id": edge.attributes.get("run"),
                "cost": edge.attributes.get("cost", 1.0),
            }
            for edge in graph.edges()
        ]
        return {
            "nodes": nodes,
            "edges": edges,
            "node_count": len(nodes),
            "edge_count": len(edges),
        }

    def export_audit(self) -> dict[str, Any]:
        """What an auditor wants to see at once; `dino audit report` signs and proves it."""
        self.refresh()
        return {
            "exported_at": checks.time_text(self.clock()),
            "hash_chain_valid": self.verify_hash_chain(),
            "head": {"seq": self._folded_to.seq, "hash": self._folded_to.parent_hash},
            "status": self.get_status(),
            "events": self.recent(),
            "anomalies": [one.as_dict() for one in self.anomaly_detector.anomalies],
            "graph": self.get_provenance_graph(),
        }

    def get_status(self) -> dict[str, Any]:
        self.refresh()
        size = self.graph.size()
        return {
            **self._totals,
            "kinds": dict(sorted(self._kinds.items())),
            "remembered": len(self._recent),
            "nodes": size.nodes,
            "edges": size.edges,
            "followed": self.followed,
        }

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._remembered, self._rules)

    def restored(self) -> None:
        self.anomaly_detector.rules = self._rules

    def apply_event_tapped(self, event: Event) -> None:
        kind, kinds = event["kind"], self._kinds
        if kind not in kinds and len(kinds) >= _MOST_KINDS:
            kind = _OTHER
        kinds[kind] = kinds.get(kind, 0) + 1
        self._totals["events"] += 1
        self._totals["fell_out"] += len(self._recent) == self._remembered
        self._recent.append(event)
        if "nodes" in event or "edges" in event:
            self._count_statements(event)
        outcome, seconds = event.get("outcome"), event.get("duration_s")
        self._news = self.anomaly_detector.observe(
            kind,
            event["at"],
            source=event["source"][0] if "source" in event else "",
            run=event.get("run", ""),
            values=_NO_VALUES if seconds is None else {"seconds": seconds},
            ok=None if outcome is None else outcome in GOOD,
            ref=event["seq"],
        )

    def apply_statements_added(self, event: Event) -> None:
        self._count_statements(event)

    def apply_journal_followed(self, event: Event) -> None:
        self._cursors[event["journal"]] = Position(event["line"], event["hash"], event["offset"])
        if "number" in event:
            self._numbers[event["journal"]] = event["number"]

    def apply_events_dropped(self, event: Event) -> None:
        self._totals["dropped"] += event["count"]

    def apply_anomaly_detected(self, event: Event) -> None:
        self._totals["anomalies"] += 1
        self._untold.append(event)

    def apply_silence_found(self, event: Event) -> None:
        self._news = self.anomaly_detector.look(event["at"])

    def apply_alerts_told(self, event: Event) -> None:
        while self._untold and self._untold[0]["seq"] <= event["upto"]:
            self._untold.popleft()

    def _count_statements(self, event: Event) -> None:
        self._totals["statements"] += len(event.get("nodes", ())) + len(event.get("edges", ()))
