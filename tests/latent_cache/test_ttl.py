"""Time to live: what has expired is not to be seen, at once; the sweep only gives back its room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.latent_cache import DocumentStore, Missing
from tests.latent_cache.conftest import Clock, recorded, revision


def seen(store: DocumentStore) -> dict[str, Any]:
    return {
        "docs": [row["id"] for row in store.all_docs()],
        "changes": [change.id for change in store.changes()],
        "count": store.info()["doc_count"],
    }


def test_what_has_expired_is_seen_nowhere_before_and_after_the_sweep(
    store: DocumentStore, clock: Clock, log: Path
) -> None:
    store.put({"_id": "kept"})
    rev = store.put({"_id": "brief", "n": 1}, ttl_s=60)
    clock.now += 59.9
    assert seen(store) == {"docs": ["brief", "kept"], "changes": ["kept", "brief"], "count": 2}
    clock.now += 0.1
    for swept in (1, 0):
        assert seen(store) == {"docs": ["kept"], "changes": ["kept"], "count": 1}
        for look in (
            lambda: store.get("brief"),
            lambda: store.get("brief", rev=rev),
            lambda: store.resolve("brief", rev),
        ):
            with pytest.raises(Missing) as caught:
                look()
            assert not caught.value.deleted
        assert (store.leaves("brief"), store.open_revs("brief", None)) == ([], [])
        assert store.read_revisions([("brief", rev)]) == []
        assert store.expire() == swept
    clock.now -= 1000  # set back: what was swept stays away
    assert seen(store)["docs"] == ["kept"]
    store.settle()
    assert [e["id"] for e in recorded(log) if e["event_type"] == "document_expired"] == ["brief"]


def test_the_sweep_gives_back_the_room(store: DocumentStore, clock: Clock) -> None:
    data = {"photo": {"content_type": "image/png", "data": b"x" * 100_000}}
    store.put({"_id": "x", "_attachments": data, "text": "y" * 100_000}, ttl_s=1)
    clock.now += 1
    freed = store.compact()
    assert (freed["expired"], freed["attachments"]) == (1, 1)
    assert freed["bytes"] > 150_000
    with sqlite3.connect(store.path) as db:
        assert db.execute("SELECT body, attachments FROM docs").fetchall() == [(None, None)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.parametrize("sweep", [False, True])
def test_what_expired_is_put_again_as_a_further_edit(
    store: DocumentStore, clock: Clock, sweep: bool
) -> None:
    """So that it is no conflict where the first one had been replicated to."""
    first = store.put({"_id": "x", "n": 1}, ttl_s=1)
    clock.now += 1
    if sweep:
        store.expire()
    second = store.put({"_id": "x", "n": 2})
    assert store.get("x", revs=True)["_revisions"]["ids"] == [
        second.split("-")[1],
        first.split("-")[1],
    ]
    assert store.info()["doc_count"] == 1
    clock.now += 1000
    assert store.get("x")["n"] == 2


def test_a_replication_brings_it_back_only_if_it_was_changed(stores: Any, clock: Clock) -> None:
    here, there = stores("here"), stores("there")
    first = here.put({"_id": "x", "n": 1}, ttl_s=1)
    there.write_revisions(here.open_revs("x", None))
    clock.now += 1
    here.expire()
    assert there.get("x")["n"] == 1  # nobody else is told
    assert here.revs_diff({"x": [first]}) == {}
    here.write_revisions(there.open_revs("x", None))
    assert here.all_docs() == []
    there.put({"_id": "x", "_rev": first, "n": 2})
    here.write_revisions(there.open_revs("x", None))
    assert (here.get("x")["n"], here.leaves("x")) == (2, there.leaves("x"))


def test_a_branch_whose_body_has_gone_is_never_handed_out(stores: Any, clock: Clock) -> None:
    """Whoever wins or loses later, a revision without its body is not passed on as empty."""
    store: DocumentStore = stores()
    store.write_revisions([revision("x", "1-a", n=0)])
    old = store.put({"_id": "x", "_rev": "1-a", "n": "old"}, ttl_s=1)
    clock.now += 1
    store.expire()
    store.write_revisions([revision("x", "3-c", "b", "a", n="new")])
    assert store.leaves("x") == [("3-c", False)]
    assert (store.conflicts(), store.get("x")["n"]) == ([], "new")
    assert store.read_revisions([("x", old)]) == []
    assert store.open_revs("x", [old]) == [{"missing": old}]
    store.write_revisions([revision("x", "4-d", "c", "b", "a", _deleted=True)])
    assert (store.all_docs(), [change.revs for change in store.changes()]) == ([], [("4-d",)])
    assert store.info() == {"doc_count": 0, "doc_del_count": 1, "update_seq": 4}


@pytest.mark.parametrize("sweep", [False, True])
def test_what_expires_here_gives_way_to_what_others_wrote(
    stores: Any, clock: Clock, sweep: bool
) -> None:
    """Whether it came before or after the time was up."""
    store: DocumentStore = stores()
    for name in ("before", "after"):
        store.set(name, {"n": 1})
        store.set(name, {"n": 2}, ttl_s=5)
    store.write_revisions([revision("before", "1-a", n="theirs")])
    assert (store.conflicts(), store.members("before")) == (["before"], {"n": 2})
    seq = store.info()["update_seq"]
    clock.now += 5
    if sweep:
        assert store.expire() == 1
    store.write_revisions([revision("after", "1-a", n="theirs")])
    for name in ("before", "after"):
        assert (store.members(name), store.leaves(name)) == ({"n": "theirs"}, [("1-a", False)])
    assert (store.conflicts(), store.info()["doc_count"]) == ([], 2)
    assert [change.revs for change in store.changes(seq)] == [("1-a",), ("1-a",)]
    rev = store.put({"_id": "before", "_rev": "1-a", "n": 3})
    assert (store.get("before")["_rev"], store.get("before")["n"]) == (rev, 3)


@pytest.mark.parametrize("expire", ["local", "everywhere"])
@pytest.mark.parametrize("why", ["another writes", "the disk is full", "it is a rehearsal"])
def test_whoever_cannot_write_reads_what_an_expired_leaf_gave_way_to(
    stores: Any, clock: Clock, why: str, expire: str
) -> None:
    """The same as is read once it is written down; and at once, without waiting for the writer."""
    store: DocumentStore = stores(expire=expire)
    store.put({"_id": "other"})
    for name in ("won", "lost", "both"):
        store.set(name, {"n": 1})
        store.set(name, {"n": 2}, ttl_s=5)
        theirs = ("1-a",) if name == "won" else ("3-c", "b", "a")
        store.write_revisions([revision(name, *theirs, n="theirs")])
    store.put({"_id": "both", "_rev": "3-c", "n": 4}, ttl_s=5)
    reader: DocumentStore = stores(expire=expire, read_only=why == "it is a rehearsal")
    assert reader.members("won") == {"n": 2}
    clock.now += 5
    with unwritable(store.path, why) as other:
        before = looked_at(reader)
        assert reader.get("other")["_id"] == "other"
        with pytest.raises(Missing):
            reader.get("none")
        assert other.execute("SELECT COUNT(*) FROM docs WHERE expires > 0").fetchone() == (2,)
    assert before["members"] == [{"n": "theirs"}, {"n": "theirs"}, None]
    assert before["docs"] == ["lost", "other", "won"]
    written = looked_at(store)
    if expire == "local":
        assert before == written
    assert (before["docs"], before["count"]) == (written["docs"], written["count"])
    assert reader.get("won")["n"] == "theirs"


def test_a_file_is_opened_by_a_reader_while_another_writes(store: DocumentStore, log: Path) -> None:
    """What another left to be moved into the journal waits for the next change."""
    rev = store.put({"_id": "x"})
    reader = DocumentStore(store.path, Journal(log), timeout_s=0.01)
    with unwritable(store.path, "another writes"):
        assert reader.get("x")["_rev"] == rev
    reader.close()


def looked_at(store: DocumentStore) -> dict[str, Any]:
    names = ("won", "lost", "both")
    told = seen(store)
    told["changes"].sort()  # what is written down has a new place
    return {
        **told,
        "members": [store.members(name) for name in names],
        "leaves": [store.leaves(name) for name in names],
        "conflicts": store.conflicts(),
        "missing": store.revs_diff({name: ["1-a", "2-z"] for name in names}),
        "read": store.read_revisions([("won", "1-a"), ("lost", "3-c"), ("both", "3-c")]),
    }


@contextmanager
def unwritable(path: Path, why: str) -> Iterator[sqlite3.Connection]:
    """Whoever would change a document cannot."""
    full = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON feed {full}"
            if why == "the disk is full"
            else "BEGIN IMMEDIATE"
            if why == "another writes"
            else "BEGIN"
        )
        yield other
        other.execute("DROP TRIGGER full" if why == "the disk is full" else "ROLLBACK")


def test_a_leaf_that_lost_and_expires_is_no_conflict(stores: Any, clock: Clock) -> None:
    store: DocumentStore = stores()
    lost = store.put({"_id": "x", "n": 1}, ttl_s=5)
    store.write_revisions([revision("x", "2-b", "a", n="theirs")])
    assert store.conflicts() == ["x"]
    clock.now += 5
    assert (store.conflicts(), store.leaves("x")) == ([], [("2-b", False)])
    store.put({"_id": "x", "_rev": "2-b", "_deleted": True}, ttl_s=5)
    clock.now += 5
    assert [change.deleted for change in store.changes()] == [True]  # lest nobody hears of it
    assert store.revs_diff({"x": [lost]}) == {}


def test_expired_everywhere_is_a_deletion_that_is_replicated(stores: Any, clock: Clock) -> None:
    here, there = stores("here", expire="everywhere"), stores("there")
    here.put({"_id": "x", "n": 1}, ttl_s=1)
    there.write_revisions(here.open_revs("x", None))
    clock.now += 1
    assert here.expire() == 1
    (change,) = here.changes()
    assert change.deleted
    there.write_revisions(here.open_revs("x", None))
    with pytest.raises(Missing) as caught:
        there.get("x")
    assert caught.value.deleted


def test_an_edit_without_a_time_stays(store: DocumentStore, clock: Clock) -> None:
    rev = store.put({"_id": "x", "n": 1}, ttl_s=1)
    store.put({"_id": "x", "_rev": rev, "n": 2})
    clock.now += 10
    assert store.get("x")["n"] == 2


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), "1", True])
def test_what_is_no_time_to_live_is_refused(store: DocumentStore, ttl: Any) -> None:
    with pytest.raises(InvalidInput, match="ttl_s"):
        store.put({"_id": "x"}, ttl_s=ttl)


def test_what_is_long_past_is_forgotten_when_told(store: DocumentStore, clock: Clock) -> None:
    store.put({"_id": "kept"})
    store.remove("gone", store.put({"_id": "gone"}))
    store.put({"_id": "brief"}, ttl_s=1)
    clock.now += 100
    assert store.compact()["forgotten"] == 0
    assert store.compact(forget_s=1000)["forgotten"] == 0
    assert store.compact(forget_s=10)["forgotten"] == 2
    assert store.info() == {"doc_count": 1, "doc_del_count": 0, "update_seq": 4}
    assert store.put({"_id": "gone"}).startswith("1-")


def test_what_was_purged_was_never_there(store: DocumentStore) -> None:
    store.write_revisions([revision("x", "2-b", "a"), revision("x", "2-c", "a")])
    assert (store.purge("x"), store.purge("x")) == (True, False)
    assert (store.leaves("x"), store.changes(), store.info()["doc_count"]) == ([], [], 0)
    assert store.put({"_id": "x"}).startswith("1-")
    assert store.changes()[0].seq == 2  # places are not given out twice
