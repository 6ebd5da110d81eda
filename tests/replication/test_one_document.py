"""
One document that does not get through holds up no other, whatever is the matter with it.

CouchDB's: #4963 keep successful docs.  PouchDB's: #2268 forbidden, one and many.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.replication import (
    Failure,
    LocalPeer,
    PeerFault,
    PeerUnreachable,
    Replicator,
    Report,
    replicate,
)
from engines.replication import checkpoints as checkpoints_module
from engines.replication import ledger as ledger_module
from engines.replication.sifting import sift
from tests.replication.kit import QUICK, Pair, a_store, put
from tests.replication.proxy import Proxy

IMPATIENT = replace(QUICK, silence_s=0.15)


def a_file(text: str) -> dict[str, Any]:
    return {"x": {"content_type": "text/plain", "data": b64encode(text.encode()).decode()}}


def failed(report: Report) -> list[tuple[str, str, bool]]:
    return [(one.id, one.error, one.refused) for one in report.errors]


# --- what a peer breaks over ----------------------------------------------------------------------


@pytest.mark.parametrize("lacks", [set(), {"_bulk_get"}])
@pytest.mark.parametrize("alone", [True, False])
def test_an_attachment_that_the_source_cannot_give_is_that_documents_failure(
    pair: Pair, alone: bool, lacks: set[str]
) -> None:
    """Also where it is asked for with others; what comes later is not held up either."""
    pair.couch.lacks, pair.couch.parts = lacks, False
    put(pair.there, "a", "b")
    for name in ("bad",) if alone else ("bad", "good", "fine"):
        put(pair.there, name, _attachments=a_file(name))
    pair.couch.breaks = lambda what, body: (
        what == "GET /bad/x" or (b'"bad"' in body and pair.couch.queries[-1].get("attachments"))
    )
    report = pair.pull()
    assert failed(report) == [("bad", "server_error", False)]
    assert "GET /bad/x was answered 500" in report.errors[0].reason
    put(pair.there, "later")
    assert failed(pair.pull()) == failed(report)
    assert pair.here.get("later")["_id"] == "later"
    pair.couch.breaks = lambda _what, _body: False
    assert pair.pull().ok
    assert pair.same()


@pytest.mark.parametrize("lacks", [set(), {"_bulk_get"}])
def test_a_document_that_the_source_cannot_read_is_found_among_the_others(
    pair: Pair, lacks: set[str]
) -> None:
    pair.couch.lacks = lacks
    put(pair.here, "mine")  # a target with nothing is given firstborns along with the changes
    put(pair.there, *(f"d{n}" for n in range(20)))
    pair.couch.breaks = lambda what, body: "/d7" in what or (b'"d7"' in body and "_get" in what)
    assert failed(pair.pull()) == [("d7", "server_error", False)]
    assert pair.here.info()["doc_count"] == 20
    pair.couch.breaks = lambda _what, _body: False
    assert pair.pull().ok
    assert pair.here.info()["doc_count"] == 21


@pytest.mark.parametrize("fault", ["silent", "drop", "truncate"])
def test_an_attachment_that_never_comes_whole_is_that_documents_failure(
    pair: Pair, proxy: Proxy, fault: str
) -> None:
    """As something in between does that does not like it."""
    pair.http, pair.couch.parts = IMPATIENT, False
    put(pair.there, "bad", _attachments=a_file("x"))
    put(pair.there, "a")
    proxy.plan = lambda _n, what: fault if "/bad/x" in what else None
    report = pair.pull(attempts=2)
    assert failed(report) == [("bad", "timed_out" if fault == "silent" else "cut_off", False)]
    assert pair.here.get("a")["_id"] == "a"
    proxy.plan = lambda _n, _what: None
    assert pair.pull().ok
    assert pair.same()


@pytest.mark.parametrize("poison", [{"d0"}, {"d29"}, {f"d{n}" for n in range(7, 19)}])
def test_documents_that_the_target_breaks_over_are_found_among_the_others(
    pair: Pair, poison: set[str]
) -> None:
    put(pair.here, *(f"d{n}" for n in range(30)))
    pair.couch.breaks = lambda what, body: (
        what == "POST /_bulk_docs" and any(b'"%b"' % one.encode() in body for one in poison)
    )
    report = pair.push()
    assert sorted(failed(report)) == sorted((one, "server_error", False) for one in poison)
    assert pair.there.info()["doc_count"] == 30 - len(poison)
    put(pair.here, "later")
    assert not pair.push().ok
    assert pair.there.get("later")["_id"] == "later"
    pair.couch.breaks = lambda _what, _body: False
    assert pair.push().ok
    assert pair.same()


def test_many_that_the_target_breaks_over_do_not_make_it_unreachable_the_next_time(
    pair: Pair,
) -> None:
    """Tried again they are among themselves, and nothing goes through before what is new."""
    put(pair.here, *(f"bad{n}" for n in range(100)), *(f"good{n}" for n in range(100)))
    pair.couch.breaks = lambda what, body: what == "POST /_bulk_docs" and b'"bad' in body
    assert len(pair.push().errors) == 100
    put(pair.here, "later")
    assert len(pair.push().errors) == 100
    assert pair.there.info()["doc_count"] == 101


@pytest.mark.parametrize(
    "breaks",
    [lambda what: True, lambda what: what == "GET /", lambda what: "_bulk_" in what],
    ids=["everything", "all but what is asked for", "all documents"],
)
def test_a_peer_that_fails_whatever_it_is_asked_is_not_reached(
    pair: Pair, way: str, breaks: Callable[[str], bool]
) -> None:
    """It is backed off from, is not asked about each document, and no document is blamed."""
    source, _ = pair.ends(way)
    put(source, "a")
    pair.go(way)
    put(source, *(f"d{n}" for n in range(300)))
    put(source, "a")  # of a further revision, which is asked for
    pair.couch.asked.clear()
    pair.couch.breaks = lambda what, _body: breaks(what) or "_bulk_" in what
    with pytest.raises(PeerUnreachable) as caught:
        pair.go(way, attempts=3)
    assert caught.value.exit_code == 4
    assert len(pair.pauses) == 2
    assert len(pair.couch.asked) < 3 * 6
    pair.couch.breaks = lambda _what, _body: False
    assert pair.go(way).ok
    assert pair.same()


@pytest.mark.parametrize("full", [True, False])
def test_a_target_that_takes_no_document_is_asked_whether_it_takes_anything(
    pair: Pair, full: bool
) -> None:
    """A server whose disk is full answers questions; a hundred documents may be what it breaks over."""
    put(pair.here, *(f"d{n}" for n in range(200)))
    pair.couch.breaks = lambda what, body: (
        (what == "POST /_bulk_docs" and b"_rev" in body) or (full and what.startswith("PUT"))
    )
    if full:
        with pytest.raises(PeerUnreachable, match="_local/dino-writes"):
            pair.push(attempts=1)
        assert len(pair.couch.asked) < 300
    else:
        assert len(pair.push(attempts=1).errors) == 100
    pair.couch.breaks = lambda _what, _body: False
    assert pair.push().ok
    assert pair.same()


def test_a_peer_that_asks_for_a_rest_gets_one(pair: Pair, proxy: Proxy, way: str) -> None:
    source, _ = pair.ends(way)
    put(source, *(f"d{n}" for n in range(20)), _attachments=a_file("x"))
    pair.couch.parts = False
    proxy.plan = lambda _n, what: "busy" if "_bulk_" in what or what.endswith("/x") else None
    with pytest.raises(PeerUnreachable, match="503"):
        pair.go(way, attempts=2)
    assert sum(fault == "busy" for _, fault in proxy.seen) == 2


def test_so_few_parts_as_will_do() -> None:
    tried: list[str] = []

    def do(some: Any) -> str:
        tried.append("".join(some))
        if "c" in some:
            raise PeerUnreachable("it broke", status=500)
        return "well"

    found = {"".join(some): told for some, told in sift("abcdefgh", do, lambda _error: None)}
    assert tried == ["abcdefgh", "abcd", "efgh", "ab", "cd", "c", "d"]
    assert isinstance(found.pop("c"), PeerUnreachable)
    assert found == {"efgh": "well", "ab": "well", "d": "well"}

    def fault(_some: Any) -> None:
        raise PeerFault("no protocol")

    with pytest.raises(PeerFault):
        list(sift("ab", fault, lambda _error: None))


# --- many, and for good ---------------------------------------------------------------------------


class Choosy(LocalPeer):
    """It takes nothing whose id begins with what it does not like."""

    disliked = "bad"

    def write(self, documents: Any, local: Any) -> Any:
        bad = [one for one in documents if one["_id"].startswith(self.disliked)]
        good = [one for one in documents if one not in bad]
        return [
            *super().write(good, local),
            *(Failure(one["_id"], one["_rev"], "forbidden", "no", refused=True) for one in bad),
        ]


def test_more_refusals_than_are_kept_stop_nothing_and_are_never_called_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once those that are known by name are fewer, all is compared: nothing is passed over."""
    for module in (ledger_module, checkpoints_module):
        monkeypatch.setattr(module, "DENIED_KEPT", 10)
    source, target = a_store(tmp_path, "a"), a_store(tmp_path, "b")
    put(source, *(f"bad{n}" for n in range(25)), "good")
    there = Choosy(target)
    for name in ("good", "later"):
        put(source, name)
        report = replicate(LocalPeer(source), there)
        assert len(report.errors) == 11
        assert "more did not get through" in report.errors[-1].reason
        assert target.get(name)["_rev"] == source.get(name)["_rev"]
    there.disliked = "bad1"  # 1, and 10 to 19
    seen = [replicate(LocalPeer(source), there).ok for _ in range(3)]
    assert seen == [False, False, False]
    assert target.info()["doc_count"] == 27 - 11
    there.disliked = "none"
    replicate(LocalPeer(source), there)
    assert [replicate(LocalPeer(source), there).ok for _ in range(2)] == [True, True]
    assert target.info()["doc_count"] == 27
    assert replicate(LocalPeer(source), there).missing_checked == 0
    source.close()
    target.close()


@pytest.mark.parametrize(
    "denied", ["x", 7, ["x"], [["x"]], [["x", "y"]], [["x", 1]], [{"x": "1-a"}], [None], {"x": 1}]
)
def test_what_is_no_revision_among_those_refused_is_passed_over(pair: Pair, denied: Any) -> None:
    put(pair.here, "x")
    name = pair.push().replication_id
    for store in (pair.here, pair.there):
        record = store.get_local(name)
        assert record is not None
        store.put_local(name, {**record, "denied": denied})
    put(pair.here, "y")
    assert pair.push().ok
    assert pair.same()


def test_what_was_refused_and_has_gone_from_the_source_is_told_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(pair.there, "bad", "good")
    peer = Choosy(pair.here)
    assert failed(replicate(pair.remote, peer)) == [("bad", "forbidden", True)]
    pair.there.purge("bad")
    work = Replicator(pair.remote, peer)
    assert failed(work.run()) == [("bad", "not_found", True)]
    report = replicate(pair.remote, peer)
    assert (report.ok, report.missing_checked) == (True, 0)
