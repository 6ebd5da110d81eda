"""
Whatever the network does, both sides end up the same, and nothing is done twice.

PouchDB's titles: retry many times, no leaks; #5157 many docs; 6510 no backoff without failures;
replicationBackoff; #3569 409 during replication; #4094.  CouchDB's: rate_limiter, retain_stats.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from engines.replication import Options, PeerTimedOut, PeerUnreachable, Replicator
from engines.replication.connections import Answer
from engines.replication.pace import Backoff, BatchSize
from tests.replication.kit import QUICK, Pair, put, tree
from tests.replication.proxy import FAULTS, Proxy, at, some_of

IMPATIENT = replace(QUICK, silence_s=0.15)
PASSING = tuple(fault for fault in FAULTS if fault not in {"silent", "too_large"})


def filled(pair: Pair, seed: int) -> None:
    """Random trees on both sides, some of them the same, some with attachments."""
    random = Random(seed)
    revisions = [one for n in range(60) for one in tree(random, f"t{n}")]
    pair.here.write_revisions(random.sample(revisions, len(revisions) * 2 // 3))
    pair.there.write_revisions(random.sample(revisions, len(revisions) * 2 // 3))
    for store in (pair.here, pair.there):
        kind = {"content_type": "text/plain", "data": "aGVsbG8="}
        put(store, "with", "more", _attachments={f"a{random.random()}": kind})


@pytest.mark.parametrize("seed", range(4))
def test_both_sides_converge_whatever_happens(pair: Pair, proxy: Proxy, seed: int) -> None:
    """A third of all requests go wrong, in every way; when they no longer do, nothing is missing."""
    filled(pair, seed)
    proxy.plan = some_of(PASSING, 0.3, seed)
    for _ in range(4):
        for go in (pair.push, pair.pull):
            with suppress(PeerUnreachable):
                go(batch_size=5, batch_max=10, attempts=9)
    proxy.plan = lambda _n, _what: None
    pair.sync()
    assert pair.same()
    assert len({fault for _, fault in proxy.seen if fault}) >= 6
    again = pair.sync()
    assert again.ok
    assert [one.missing_checked for one in (again.push, again.pull) if one] == [0, 0]


@pytest.mark.parametrize("fault", [*PASSING, "silent"])
def test_each_request_may_meet_each_fault(pair: Pair, proxy: Proxy, way: str, fault: str) -> None:
    """Once, whichever request it is: one run is enough."""
    pair.http = IMPATIENT
    source, _ = pair.ends(way)
    put(source, "start")
    pair.go(way)
    first = len(proxy.seen)
    put(source, "trial", "another")
    pair.go(way, batch_size=1, batch_max=1)
    requests = len(proxy.seen) - first
    assert requests >= 6
    for number in range(1, requests) if fault != "silent" else (2, requests - 1):
        put(source, "trial", "another", n=number)
        proxy.plan = at({len(proxy.seen) + number: fault})
        report = pair.go(way, batch_size=1, batch_max=1)
        assert pair.same(), (number, proxy.seen[-8:])
        assert report.ok


def test_a_peer_that_is_busy_says_when(pair: Pair, proxy: Proxy) -> None:
    put(pair.here, "a")
    proxy.plan = at({3: "busy"})
    assert pair.push().retries == 1
    with pytest.raises(PeerUnreachable) as caught:
        pair.remote._wire.raise_for(Answer(503, {"retry-after": "17"}, b""), "GET", "/")
    assert caught.value.retry_after_s == 17
    assert Backoff(0.5, Random(1)).after_failure(17) == 17


def test_one_that_ends_gives_up_and_says_how_far_it_came(
    pair: Pair, proxy: Proxy, way: str
) -> None:
    source, _ = pair.ends(way)
    put(source, *"abcd")
    proxy.plan = lambda number, _what: "drop" if number > 6 else None
    with pytest.raises(PeerUnreachable) as caught:
        pair.go(way, batch_size=1, batch_max=1, attempts=3)
    report = caught.value.report
    assert report is not None
    assert report.retries == 2
    assert len(pair.pauses) == 2
    assert 0 < report.docs_written < 4
    proxy.plan = lambda _n, _what: None
    assert pair.go(way).docs_written == 4 - report.docs_written
    assert pair.same()


def test_batches_shrink_when_they_are_too_much(pair: Pair, proxy: Proxy) -> None:
    """413 to whatever is large: halved until it gets through, doubled while it goes well."""
    put(pair.here, *(f"d{n}" for n in range(60)))
    pair.couch.limit = 1500
    assert pair.push(batch_size=64).docs_written == 60
    assert pair.same()
    proxy.plan = at({len(proxy.seen) + 1: "silent"})
    pair.http = IMPATIENT
    put(pair.there, *(f"e{n}" for n in range(60)))
    work = Replicator(pair.remote, pair.local, Options(batch_size=64), pause=lambda _s: None)
    assert work.run().ok
    assert pair.couch.queries[-1] is not None
    limits = [int(q["limit"]) for q in pair.couch.queries if "limit" in q]
    assert limits[0] == 32  # the one before it was never answered
    assert pair.same()


def test_sizes_and_pauses() -> None:
    size = BatchSize(500, 2000)
    seen = []
    for well in (True, True, True, False, False, True):
        size.went_well() if well else size.was_too_much()
        seen.append(size.now)
    assert seen == [1000, 2000, 2000, 1000, 500, 1000]
    for _ in range(20):
        size.was_too_much()
    assert size.now == 1
    assert BatchSize(500, 100).now == 100

    class Most(Random):
        def uniform(self, a: float, b: float) -> float:
            return b if a == 0 else a

    backoff = Backoff(0.5, Most())
    assert [backoff.after_failure() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.went_well()
    assert backoff.after_failure() == 0.5
    jitter = Backoff(1, Random(3))
    assert len({jitter.after_failure() for _ in range(9)}) == 9


def test_an_answer_without_end_is_not_read(pair: Pair) -> None:
    """What is larger than it may be is cut off; what only trickles is, too."""
    put(pair.there, *(f"d{n}" for n in range(50)), text="x" * 200)
    pair.http = replace(QUICK, answer_bytes=4000)
    assert pair.pull().docs_written == 50
    assert pair.same()
    pair.http = replace(QUICK, answer_s=-1)
    with pytest.raises(PeerTimedOut, match="too long"):
        pair.pull()
