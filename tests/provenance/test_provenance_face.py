"""The engine as users have it: taps, edges, the graph, the audit; and what is kept of them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engines.errors import InvalidInput, JournalWriteFailed
from engines.journal import Journal, Position, VolatileJournal
from engines.provenance import Kind, Node, ProvenanceDomain, Relation, Tap, Tapped
from engines.provenance.index import Index, IndexUnavailable
from engines.provenance.ring import Ring
from tests.provenance.kit import domain, edge

MAIL = "sensitive@email.com"


def test_what_the_old_systems_promised(tmp_path: Path) -> None:
    """Word for word the session of the engine document."""
    provenance = ProvenanceDomain(tmp_path / "log.jsonl")
    provenance.tap_event("user_action", {"data": MAIL}, "run_001")
    provenance.add_provenance_edge("fact_A", "fact_B", "rule1", "run_001")
    graph = provenance.get_provenance_graph()
    assert (graph["nodes"], graph["node_count"], graph["edge_count"]) == (
        ["fact_A", "fact_B"],
        2,
        1,
    )
    (found,) = graph["edges"]
    assert (found["source"], found["target"], found["rule_id"]) == ("fact_A", "fact_B", "rule1")
    assert (found["run_id"], found["cost"]) == ("run_001", 1.0)
    audit = provenance.export_audit()
    assert audit["hash_chain_valid"]
    json.dumps(audit, allow_nan=False)
    assert MAIL not in str(provenance.redactor.redact_dict({"data": MAIL}))
    assert provenance.verify_hash_chain()
    assert MAIL.encode() not in b"".join(f.read_bytes() for f in tmp_path.iterdir())


def test_a_burst_is_an_anomaly_and_another_process_knows_of_it(tmp_path: Path) -> None:
    provenance = domain(tmp_path, clock=lambda: 1e9)
    for number in range(25):
        provenance.tap_event("click", {"n": number}, "r")
    assert [one.kind.value for one in provenance.anomaly_detector.anomalies] == ["burst"]
    again = domain(tmp_path)
    assert [one.kind.value for one in again.anomaly_detector.anomalies] == ["burst"]
    assert again.get_status()["anomalies"] == 1
    again.save_snapshot()
    restored = domain(tmp_path)
    assert restored.check_snapshot() is None
    assert restored.anomaly_detector.anomalies == again.anomaly_detector.anomalies
    (alert,) = restored.alerts
    restored.alerts_told(alert["seq"])
    assert domain(tmp_path).alerts == []


def test_the_graph_is_an_index_that_can_be_deleted(tmp_path: Path) -> None:
    provenance = domain(tmp_path)
    for number in range(30):
        provenance.add_provenance_edge(f"f{number}", f"f{number + 1}", "r", "run", cost=number)
    before = provenance.get_provenance_graph()
    index = tmp_path / "provenance_log.db"
    for spoil in (index.unlink, lambda: index.write_bytes(b"SQLite format 3\0" + bytes(5000))):
        for ending in ("-wal", "-shm"):
            Path(f"{index}{ending}").unlink(missing_ok=True)
        spoil()
        assert domain(tmp_path).get_provenance_graph() == before


def test_where_nothing_can_be_written_the_index_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain(tmp_path).add_provenance_edge("a", "b", "r", "run")
    before = domain(tmp_path).get_provenance_graph()
    there = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert domain(tmp_path).get_provenance_graph() == before
    assert sorted(tmp_path.iterdir()) == there


def test_an_index_that_another_holds_is_unavailable(tmp_path: Path) -> None:
    provenance = domain(tmp_path)
    provenance.add_provenance_edge("a", "b", "r", "run")
    index = Index(tmp_path / "provenance_log.db", timeout_s=0.01)
    index.catch_up(provenance.journal)
    provenance.add_provenance_edge("b", "c", "r", "run")
    with closing(sqlite3.connect(tmp_path / "provenance_log.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailable) as held:
            index.catch_up(provenance.journal)
    assert held.value.exit_code == 4


def test_the_index_of_another_journal_is_made_anew(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in "ab")
    for folder, name in ((one, "first"), (other, "second")):
        folder.mkdir()
        domain(folder).add_provenance_edge(name, "x", "r", "run")
        domain(folder).get_provenance_graph()
    for name in ("provenance_log.jsonl", "provenance_log.head"):
        (other / name).replace(one / name)
    assert domain(one).get_provenance_graph()["nodes"] == ["second", "x"]


def test_two_processes_see_each_others_statements(tmp_path: Path) -> None:
    here, there = domain(tmp_path), domain(tmp_path)
    here.add_provenance_edge("a", "b", "r", "run")
    assert there.get_provenance_graph()["node_count"] == 2
    there.add_provenance_edge("b", "c", "r", "run")
    here.add_provenance_edge("c", "d", "r", "run")
    for one in (here, there):
        assert one.graph.path("d", "a") == ["d", "c", "b", "a"]


def test_what_is_said_again_is_said_once_and_adds_what_is_new(tmp_path: Path) -> None:
    provenance = domain(tmp_path)
    began, ended = ({"prov:startTime": "2027-01-15T10:00:00Z"}, {"outcome": "ok"})
    for said in (began, ended):
        provenance.add_statements([Node(Kind.ACTIVITY, "run:1", said)], [edge("a", "b")])
    assert provenance.graph.node("run:1").attributes == {**began, **ended}
    assert provenance.graph.size().edges == 1


def test_without_a_journal_it_lasts_as_long_as_the_process() -> None:
    provenance = ProvenanceDomain(journal=VolatileJournal())
    provenance.tap_event("x", {"mail": MAIL})
    provenance.add_provenance_edge("a", "b", "r", "run")
    assert provenance.get_provenance_graph()["edge_count"] == 1
    assert MAIL not in str(provenance.recent())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: p.tap_event("", {}),
        lambda p: p.tap_event("x", ["no object"]),
        lambda p: p.tap_event("x", {"n": float("nan")}),
        lambda p: p.tap_event("x", {}, ""),
        lambda p: p.tap_event("x", {}, "run", outcome=7),
        lambda p: p.tap_event("x", {}, "run", traceparent=["00"]),
        lambda p: p.tap_event("x", {}, "run", duration_s=-1),
        lambda p: p.add_provenance_edge("", "b", "r", "run"),
        lambda p: p.add_provenance_edge("a", "b" * 1001, "r", "run"),
        lambda p: p.add_provenance_edge("a", "b", "r", "run", cost=-1),
        lambda p: p.add_provenance_edge("a", "b", "r", "run", relation="eats"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    tmp_path: Path, wrong: Callable[[ProvenanceDomain], None]
) -> None:
    provenance = domain(tmp_path)
    with pytest.raises(ValueError):
        wrong(provenance)
    assert not (tmp_path / "provenance_log.jsonl").exists()


# --- the tap of a program ------------------------------------------------------------------------


def test_a_tap_gathers_and_flushes_many_together(tmp_path: Path) -> None:
    provenance = domain(tmp_path)
    tap = Tap(provenance, together=10)
    for number in range(25):
        tap.tap("step", {"n": number}, "run")
    assert (tap.waiting, provenance.get_status()["events"]) == (5, 20)
    assert tap.flush() == 5
    assert [event["data"]["n"] for event in domain(tmp_path).recent()] == list(range(25))


def test_what_falls_out_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes nothing neither stops the program nor fills its memory."""
    provenance = domain(tmp_path)
    tap = Tap(provenance, capacity=10, together=10)
    with monkeypatch.context() as broken:

        def full(*_: object) -> None:
            raise JournalWriteFailed("no space left")

        broken.setattr(Journal, "commit", full)
        for number in range(25):
            tap.tap("step", {"n": number})
        assert (tap.waiting, tap.dropped) == (10, 15)
        with pytest.raises(JournalWriteFailed):
            tap.flush()
    assert tap.flush() == 10
    status = domain(tmp_path).get_status()
    assert (status["events"], status["dropped"]) == (10, 15)
    assert [event["data"]["n"] for event in domain(tmp_path).recent()] == list(range(15, 25))


def test_a_ring_keeps_the_last_and_counts_the_others() -> None:
    ring: Ring[int] = Ring(3)
    for number in range(5):
        ring.push(number)
    taken = ring.take(2)
    assert (taken, ring.dropped, len(ring)) == ([2, 3], 2, 1)
    ring.push(5)
    ring.give_back(taken)
    assert (ring.take(9), ring.dropped) == ([3, 4, 5], 3)


def test_memory_stays_bounded(tmp_path: Path) -> None:
    provenance = domain(tmp_path, remembered=10)
    provenance.tap(Tapped(f"kind {number}", 1e9 + number) for number in range(1_200))
    status = provenance.get_status()
    assert (status["remembered"], status["fell_out"], len(status["kinds"])) == (10, 1190, 1001)


# --- other journals ------------------------------------------------------------------------------


def test_a_journal_is_followed_by_one_at_a_time(tmp_path: Path) -> None:
    """Whoever comes with a cursor that is no longer the cursor changes nothing."""
    provenance, late = domain(tmp_path), domain(tmp_path)
    ends = Position(3, "ab", 30), Position(5, "cd", 50)
    assert provenance.follow("runs", Position(), [Tapped("x", 1.0)], ends[0])
    assert not late.follow("runs", Position(), [Tapped("x", 1.0)], ends[0])
    assert late.follow("runs", late.cursor("runs"), [], ends[1])
    assert domain(tmp_path).cursor("runs") == ends[1]
    assert domain(tmp_path).get_status()["events"] == 1


def test_silence_is_told_once_whoever_looks(tmp_path: Path) -> None:
    now = [1e9]
    provenance = domain(tmp_path, clock=lambda: now[0])
    for _ in range(200):
        provenance.tap([Tapped("heartbeat", now[0])])
        now[0] += 600.0
    assert provenance.look() == 0
    now[0] += 3600.0
    assert provenance.look() == 1
    again = domain(tmp_path, clock=lambda: now[0])
    assert again.look() == 0
    assert [one["kind"] for one in again.alerts] == ["silence"]


def test_relations_know_their_places() -> None:
    with pytest.raises(ValueError):
        Relation("eats")
    with pytest.raises(InvalidInput):
        ProvenanceDomain(journal=VolatileJournal()).add_provenance_edge("a", " ", "r", "run")
    assert sqlite3.sqlite_version_info > (3, 35)  # RETURNING
