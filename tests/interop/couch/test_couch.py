"""Replication with a real server of the protocol: PouchDB, whose suite's titles test_replication has."""

from __future__ import annotations

import time
from base64 import b64encode
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engines.latent_cache import DocumentStore
from engines.replication import Options, PeerUnreachable, Replicator, Sync
from tests.interop.couch.conftest import Both, Server
from tests.replication.kit import live, put, tree, until
from tests.replication.proxy import in_front_of, some_of
from tests.replication.test_faults import PASSING
from tests.replication.test_killed import mortal
from tests.replication.test_replication import FUNNY

__all__ = ["mortal"]  # a fixture

DATA = [b"", b"hello", bytes(range(256)) * 300, Random(1).randbytes(1_500_000)]


def attached(*data: bytes) -> dict[str, Any]:
    told = [{"content_type": "text/plain", "data": b64encode(one).decode()} for one in data]
    return {f"ä {n}.txt": one for n, one in enumerate(told)}


def test_create_update_and_delete(both: Both) -> None:
    for name in FUNNY:
        put(both.here, name, n=1, é=[1.5, None, {"": "\u2028"}])
        both.there.put(f"t{name}" if name[0] != "_" else f"{name}t", n=1)
    both.sync()
    assert both.same()
    put(both.here, "a/b", "ta b", n=2)
    both.there.put("tü", n=2)
    revs = both.there.winners()
    both.there.ask("DELETE", f"/t🦕?rev={revs['t🦕']}".replace("🦕", "%F0%9F%A6%95"))
    both.here.remove("ü", revs["ü"])
    both.sync()
    assert both.same()
    assert both.here.leaves("t🦕")[0][1]
    both.there.put("ü", again=True)
    put(both.here, "t🦕", again=True)
    both.sync()
    assert both.same()
    for way in ("push", "pull"):  # and now there is nothing left to do
        assert both.go(way).missing_found == 0
        assert both.go(way).missing_checked == 0


def test_conflicts_on_both_sides(both: Both) -> None:
    """Kept by both, won by the same; resolved by one, resolved for both."""
    for name in "abc":
        put(both.here, name, n="here")
        both.there.put(name, n="there")
    both.there.put("a", n="there, again")
    put(both.here, "b", n="here, again")
    both.here.remove("c", both.here.get("c")["_rev"])
    both.sync()
    assert both.same()
    assert both.here.get("a")["n"] == "there, again"
    assert both.there.ask("GET", "/b?conflicts=true")["n"] == "here, again"
    assert len(both.there.ask("GET", "/a?conflicts=true")["_conflicts"]) == 1
    both.here.resolve("a", both.here.leaves("a")[1][0])
    both.sync()
    assert both.same()
    assert both.there.ask("GET", "/a?conflicts=true") == {**both.here.get("a"), "n": "here"}


def test_winners_of_random_trees(both: Both) -> None:
    """Five hundred trees, each revision on this side, on that one or on both: same leaves, same winners."""
    random = Random(6)
    revisions = [one for n in range(500) for one in tree(random, f"t{n}")]
    random.shuffle(revisions)
    both.here.write_revisions(revisions[: len(revisions) * 2 // 3])
    both.there.write(revisions[len(revisions) // 3 :])
    both.sync()
    assert both.same()
    assert len(both.here.conflicts()) > 50


def test_deep_histories(both: Both) -> None:
    rev = None
    for n in range(200):
        rev = both.here.put({"_id": "deep", "n": n, **({"_rev": rev} if rev else {})})
    both.go("push")
    for n in range(30):
        both.there.put("deep", n=n)
    both.go("pull")
    assert both.same()
    assert both.here.get("deep", revs=True)["_revisions"]["start"] == 230


def test_attachments(both: Both) -> None:
    put(both.here, "a", "b", _attachments=attached(*DATA))
    both.there.put("c", _attachments=attached(*DATA))
    for n in range(20):
        both.there.put(f"d{n}", _attachments=attached(b"%d" % n))
    both.sync()
    assert both.same()
    put(both.here, "c", _attachments=both.here.get("c")["_attachments"], n=2)
    both.there.put("a", _attachments=attached(b"other"))
    both.sync()
    assert both.same()


def test_ten_thousand_documents(both: Both, tmp_path: Path) -> None:
    """Up and, to a third store, down."""
    both.here.put_many([{"_id": f"doc-{n:05}", "n": n, "text": "x" * 80} for n in range(10_000)])
    assert both.go("push").docs_written == 10_000
    with DocumentStore(tmp_path / "third.db") as third:
        report = Both(third, both.there).go("pull")
        assert (report.docs_written, report.ok) == (10_000, True)
        assert [c[1:] for c in third.changes()] == [c[1:] for c in both.here.changes()]
        assert third.get("doc-01234") == both.here.get("doc-01234")


def test_only_what_is_chosen(both: Both) -> None:
    """By ids, and by a filter that the server runs."""
    code = "function (doc, req) { return doc.n > Number(req.query.min); }"
    both.there.put("_design/app", filters={"big": code})
    for n in range(10):
        both.there.put(f"d{n}", n=n)
    assert both.go("pull", doc_ids=["d1", "d9", "none"]).docs_written == 2
    options: dict[str, Any] = {"filter": "app/big", "batch_size": 2}
    assert both.go("pull", **options, query_params={"min": 7}).docs_written == 1
    assert both.go("pull", **options, query_params={"min": 5}).docs_written == 2
    assert both.go("pull").docs_written == 6
    assert both.same()


def test_documents_that_the_server_refuses(both: Both) -> None:
    code = "function (doc) { if (doc.bad) throw({forbidden: 'no ' + doc.bad}); }"
    both.there.put("_design/rules", validate_doc_update=code)
    put(both.here, "a", "c")
    put(both.here, "b", bad="apples")
    report = both.go("push")
    assert (report.docs_written, report.doc_write_failures) == (2, 1)
    assert [(one.id, one.refused) for one in report.errors] == [("b", True)]
    again = both.go("push")  # it is not forgotten, and nothing else is asked about
    assert (again.missing_checked, again.ok) == (1, False)
    assert both.there.leaves().keys() == {"a", "c", "_design/rules"}


def test_a_server_that_works_says_so_when_it_is_asked_about_none_that_is_there(both: Both) -> None:
    """So what it broke over before is the document's affair."""
    _, there = both.peers("push")
    broke = PeerUnreachable("it broke", status=500)
    for blame in (there._wire.blame, there._blame, there._fetching._blame):
        blame(broke)
    there._prove()
    there._prove()
    assert there.get_local("dino-writes")["_id"] == "_local/dino-writes"
    assert both.there.leaves() == {}


def test_a_clock_that_is_years_off(both: Both, way: str) -> None:
    for year, name in ((1971, "a"), (2199, "b"), (2001, "c")):
        both.here.clock = lambda at=(year - 1970) * 31_556_952.0: at
        put(both.here, name) if way == "push" else both.there.put(name)
        report = Replicator(*both.peers(way), clock=both.here.clock).run()
        assert (report.docs_written, report.missing_checked) == (1, 1)
    both.here.clock = time.time
    assert both.same()


def test_a_bad_line(both: Both) -> None:
    """Whatever goes wrong between the two, they end up the same."""
    random = Random(3)
    revisions = [one for n in range(50) for one in tree(random, f"t{n}")]
    both.here.write_revisions(random.sample(revisions, len(revisions) * 2 // 3))
    both.there.write(random.sample(revisions, len(revisions) * 2 // 3))
    with in_front_of(both.there.url) as proxy:
        url = both.there.url.replace(both.there.url.split("/")[2], proxy.url.split("/")[2])
        proxy.plan = some_of(PASSING, 0.25, 5)
        for way in ("push", "pull") * 3:
            both.go(way, url, batch_size=5, batch_max=10, attempts=50)
    both.sync()
    assert both.same()


def test_following_each_other(both: Both) -> None:
    """Continuously, in both directions; told to stop it stops, though the server sees no end of it."""
    work = Sync(*both.peers("push"), Options(continuous=True))
    with live(work) as ended:
        for n in range(3):
            put(both.here, "ping", n=n)
            both.there.put("pong", n=n)
            until(
                lambda n=n: both.here.leaves("pong")[:1] and both.here.get("pong")["n"] == n,
                both.here,
            )
            until(
                lambda: both.there.winners().get("ping") == both.here.leaves("ping")[0][0],
                both.here,
            )
    assert ended[0].ok
    assert both.same()


# --- kill -9 --------------------------------------------------------------------------------------


def test_killed_here(both: Both, mortal: Any, way: str) -> None:
    """Ours is killed, at any of its steps."""
    for step in range(way == "pull", 1000, 5):
        if way == "push":
            put(both.here, f"d{step % 7}", f"new{step}", "all", step=step)
        else:
            for name in (f"d{step % 7}", f"new{step}", "all"):
                both.there.put(name, step=step)
        if not mortal(way, both.here.path, both.there.url, step):
            break
    assert step > 10
    assert both.same()
    assert both.go(way).missing_checked == 0


def test_killed_there(lasting: Server, tmp_path: Path, way: str) -> None:
    """The server is killed in the middle, and comes back with what it had on its disk."""
    with DocumentStore(tmp_path / "here.db") as here:
        both = Both(here, lasting.database())
        names = [f"d{n:03}" for n in range(300)]
        if way == "push":
            here.put_many([{"_id": name} for name in names])
        else:
            both.there.ask("POST", "/_bulk_docs", {"docs": [{"_id": name} for name in names]})
        told: list[Any] = []

        def after_the_third(report: Any) -> None:
            told.append(report)
            if len(told) == 3:
                lasting.kill()

        options = Options(batch_size=20, batch_max=20, attempts=2)
        work = Replicator(
            *both.peers(way), options, on_progress=after_the_third, pause=lambda _s: None
        )
        with pytest.raises(PeerUnreachable) as caught:
            work.run()
        assert caught.value.report is not None
        assert 60 <= caught.value.report.docs_written < 300  # pages under way still come
        lasting.start()
        again = both.go(way)
        assert again.start_last_seq != 0
        assert again.missing_checked <= 240
        assert both.same()
        assert len(both.there.leaves()) == 300
