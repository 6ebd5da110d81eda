"""
A replication that stays.

PouchDB's titles: live pull and push checkpoint; live replication, starting offline; 4049 retry while
starting offline; cancel; sync cancel; heartbeat and timeout passed; live sync that silently stops
(issues 9063, 8298, 8192, 6606).
"""

from __future__ import annotations

from dataclasses import replace
from threading import Event, Thread
from typing import Any

import pytest

from engines.replication import (
    LocalPeer,
    Options,
    PeerMissing,
    PeerTimedOut,
    Replicator,
    Sync,
    SyncReport,
)
from engines.replication.pipeline import Ahead
from tests.replication.kit import Pair, live, put, until
from tests.replication.proxy import Proxy

LIVE = Options(continuous=True, heartbeat_s=0.2, backoff_s=0.01)


def test_both_sides_follow_each_other(pair: Pair) -> None:
    put(pair.here, "before")
    work = Sync(pair.local, pair.remote, LIVE)
    with live(work) as ended:
        until(lambda: pair.there.leaves("before"), pair.there)
        for n in range(5):
            put(pair.here, "ping", n=n)
            until(lambda n=n: pair.there.leaves("ping") == pair.here.leaves("ping"), pair.there)
            put(pair.there, "pong", n=n)
            until(lambda n=n: pair.here.leaves("pong") == pair.there.leaves("pong"), pair.here)
        put(pair.here, *(f"d{n}" for n in range(100)))
        until(lambda: pair.there.info()["doc_count"] == 103, pair.there)
    (report,) = ended
    assert isinstance(report, SyncReport)
    assert report.ok
    assert pair.same()
    # Stopped, it knows where it was.
    again = pair.sync()
    assert again.pull is not None
    assert again.pull.missing_checked <= 101  # what the other direction wrote at the very end
    assert pair.sync().as_dict()["push"]["missing_checked"] == 0
    assert pair.couch.count("PUT /_local") < 12  # and did not write it down all the time


def test_it_ends_when_it_is_told_to(pair: Pair, way: str) -> None:
    """Cancel: while it waits for news, in an instant."""
    peers = [pair.local, pair.remote]
    if way == "pull":
        peers.reverse()
    work = Replicator(*peers, replace(LIVE, heartbeat_s=30))
    source, target = pair.ends(way)
    put(source, "a")
    with live(work) as ended:
        until(lambda: target.leaves("a"), target)
        while work.state != "listening":
            source.wait(1 << 40, 0.01)
    assert ended[0].docs_written == 1
    assert pair.go(way).missing_checked == 0


def test_it_starts_offline_and_comes_back(pair: Pair, proxy: Proxy, way: str) -> None:
    """It never gives up, and says what it is doing."""
    proxy.plan = lambda _n, _what: "drop"
    source, target = pair.ends(way)
    put(source, "a")
    peers = [pair.local, pair.remote]
    if way == "pull":
        peers.reverse()
    work = Replicator(*peers, LIVE)
    with live(work) as ended:
        until(lambda: len(proxy.seen) > 6, target)
        assert work.last_error is not None
        proxy.plan = lambda _n, _what: None
        work.nudge()
        until(lambda: target.leaves("a"), target)
        cut = len(proxy.seen)
        proxy.plan = lambda number, _what: "drop" if number < cut + 4 else None
        put(source, "b")
        until(lambda: target.leaves("b"), target)
    assert ended[0].docs_written == 2
    assert ended[0].retries >= 2


def test_a_server_that_falls_silent_is_asked_anew(pair: Pair) -> None:
    """Two heartbeats without a sound: the connection is dead, whatever TCP believes."""
    pair.couch.heartbeats = False
    options = replace(LIVE, heartbeat_s=0.05)
    with pytest.raises(PeerTimedOut):
        pair.remote.wait("0", options.choice, 0.05, Event())
    with live(Replicator(pair.remote, pair.local, options)) as ended:
        until(lambda: pair.couch.count("_changes") > 6, pair.there)
        put(pair.there, "a")
        until(lambda: pair.here.leaves("a"), pair.here)
    assert ended[0].retries >= 1
    asked = [query for query in pair.couch.queries if query.get("feed") == "longpoll"]
    assert {query["heartbeat"] for query in asked} == {"50"}
    assert all(query["style"] == "all_docs" for query in asked)


def test_a_document_that_keeps_failing_stops_nothing_behind_it(pair: Pair) -> None:
    """And when it was replaced by one that gets through, all is well again."""
    said = {"error": "internal_server_error", "reason": "boom"}
    pair.couch.refuse = lambda doc: said if doc.get("n") == 1 else None
    put(pair.here, "bad", n=1)
    put(pair.here, "good")
    work = Replicator(pair.local, pair.remote, replace(LIVE, attempts=2))
    with live(work):
        until(lambda: pair.there.leaves("good"), pair.there)
        put(pair.here, "later")
        until(lambda: pair.there.leaves("later"), pair.there)
        until(lambda: [one.id for one in work.report.errors] == ["bad"], pair.there)
        put(pair.here, "bad", n=2)
        until(lambda: pair.there.leaves("bad"), pair.there)
        until(lambda: work.report.ok, pair.there)
    assert pair.same()
    assert pair.push().ok


def test_what_cannot_be_mended_ends_both(pair: Pair) -> None:
    """Half of a synchronisation, unnoticed, would be worse than none."""
    pair.url = f"{pair.couch.url}/none"
    with live(Sync(pair.local, pair.remote, LIVE)) as ended:
        while not ended:
            pair.here.wait(1 << 40, 0.01)
    assert isinstance(ended[0], PeerMissing)


def test_a_pause_ends_when_the_network_is_back(pair: Pair, proxy: Proxy) -> None:
    proxy.plan = lambda number, _what: "drop" if number < 2 else None
    put(pair.here, "a")
    work = Replicator(pair.local, pair.remote, replace(LIVE, backoff_s=1000))
    with live(work):
        while work.state != "waiting":
            pair.here.wait(1 << 40, 0.01)
        work.nudge()
        until(lambda: pair.there.leaves("a"), pair.there)


def test_a_store_that_changes_wakes_who_waits(pair: Pair) -> None:
    stopped = Event()
    peer = LocalPeer(pair.here)
    assert not peer.wait(0, LIVE.choice, 0.01, stopped)
    Thread(target=put, args=(pair.here, "a")).start()
    assert peer.wait(0, LIVE.choice, 30, stopped)
    stopped.set()
    assert not peer.wait(1, LIVE.choice, 30, stopped)


def test_work_ahead_keeps_order_passes_errors_and_ends() -> None:
    closed: list[str] = []

    def items() -> Any:
        try:
            yield from (1, 2)
            raise PeerMissing("3")
        finally:
            closed.append("closed")

    got = []
    with pytest.raises(PeerMissing):
        got.extend(Ahead(items()))  # what came before stays
    assert closed == ["closed"]
    assert list(Ahead(iter(range(50)))) == list(range(50))
    left = Ahead(items())
    assert next(left) == 1
    left.close()
    assert closed == ["closed"] * 2
    hold = Event()

    def slow() -> Any:
        yield 1
        hold.wait(60)
        yield 2

    idle = Ahead(slow(), idle_s=0.01)
    assert [next(idle), next(idle)] == [1, None]
    hold.set()
    assert [one for one in idle if one] == [2]
