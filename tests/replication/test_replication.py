"""
What a replication brings over, in both directions.

These mirror the titles of PouchDB's test.replication.js, test.sync.js and test.conflicts.js, and of
CouchDB's replication_test.exs, that are about a replicator (not about its JavaScript face); each test
names those that it stands for.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.latent_cache import DocumentStore
from engines.replication import LocalPeer, Options, PeerMissing, PeerUnreachable, replicate, sync
from tests.replication.couch import paths
from tests.replication.kit import (
    Pair,
    everything,
    leaves,
    put,
    rev,
    revision,
    tree,
    winners,
)

FUNNY = [
    "a/b",
    "a b",
    "ü",
    "🦕",
    "%2F",
    "a?b#c",
    "_design/d",
    "q&r=1",
    "a+b",
    "'\"",
    "x" * 300,
    "0:1",
]


def test_everything_comes_over(pair: Pair, way: str) -> None:
    """Basic pull, basic push, plain API, many changes, replicate large number of docs."""
    source, _ = pair.ends(way)
    put(source, *(f"doc{n}" for n in range(30)), text="hello")
    report = pair.go(way, batch_size=7, batch_max=7)
    assert pair.same()
    assert report.ok
    assert (report.docs_read, report.docs_written, report.missing_found) == (30, 30, 30)
    assert (report.doc_write_failures, report.retries, report.errors) == (0, 0, ())


def test_names_are_names(pair: Pair, way: str) -> None:
    """Funny ids; #3070 ids; design documents; bodies of every kind."""
    source, _ = pair.ends(way)
    body = {
        "": None,
        "é": [1.5, -0.0, 2**63, 10**30, 1e300],
        "deep": {"a": [[{}]]},
        "t": "\u2028\0",
    }
    for name in FUNNY:
        source.put({"_id": name, **body})
    pair.go(way)
    assert pair.same()
    assert pair.ends(way)[1].get("ü")["é"][3] == 10**30


def test_a_database_with_documents_keeps_them(pair: Pair, way: str) -> None:
    """Local DB contains documents; staggered revs doc count; #1307 empty database."""
    source, target = pair.ends(way)
    assert pair.go(way).docs_written == 0
    put(source, "a", "b")
    put(target, "c")
    pair.go(way)
    assert winners(target).keys() == {"a", "b", "c"}
    put(source, "a", n=2)
    put(source, "a", n=3)
    assert pair.go(way).docs_written == 1
    assert target.get("a", revs=True)["_revisions"]["start"] == 3
    assert target.info()["doc_count"] == 3


def test_deletions_come_over(pair: Pair, way: str) -> None:
    """Deleted doc; #5904 deleted doc with value; #2636 with other documents; checkpoint after deletion."""
    source, target = pair.ends(way)
    put(source, "a", "b")
    pair.go(way)
    source.put({"_id": "a", "_rev": winners(source)["a"], "_deleted": True, "why": "moved"})
    pair.go(way)
    assert pair.same()
    assert target.leaves("a")[0][1]
    assert target.open_revs("a", None)[0]["why"] == "moved"
    put(source, "a", again=True)
    pair.go(way)
    assert target.get("a")["again"] is True


def test_conflicts_are_kept_and_both_pick_the_same(pair: Pair) -> None:
    """Basic conflict; _conflicts key; remote conflict; #789 multiple; allDocs with conflicts #468; sync."""
    put(pair.here, "a", "b", n="here")
    put(pair.there, "a", n="there")
    put(pair.there, "a", n="there too")
    report = pair.sync()
    assert report.ok
    assert pair.same()
    assert len(pair.here.leaves("a")) == 2
    assert pair.here.get("a")["n"] == pair.there.get("a")["n"] == "there too"
    assert pair.here.conflicts() == ["a"]
    # The one who resolves it resolves it for both.
    pair.here.resolve("a", pair.here.leaves("a")[1][0])
    pair.sync()
    assert pair.same()
    assert pair.there.get("a")["n"] == "here"
    assert pair.there.conflicts() == []


def test_a_deletion_loses_against_an_edit(pair: Pair) -> None:
    """#2970 deleted conflicted revs; replicate and modify three times; conflict resolution 1 to 5."""
    (first,) = put(pair.here, "a", n=1)
    pair.sync()
    pair.here.remove("a", first)
    put(pair.there, "a", n=2)
    pair.sync()
    assert pair.same()
    assert pair.here.get("a")["n"] == 2
    for n in (3, 4, 5):
        put(pair.there, "a", n=n)
        pair.sync()
        assert pair.here.get("a")["n"] == n
    assert pair.same()


def test_the_same_edit_on_both_sides_is_no_conflict(pair: Pair) -> None:
    """Made offline on either side: the revision is a hash of what was done, as CouchDB makes it."""
    put(pair.here, "a", n=1)
    pair.sync()
    for store in (pair.here, pair.there):
        put(store, "a", n=2, note="done")
        put(store, "new", made="twice")
    report = pair.sync()
    assert pair.here.conflicts() == pair.there.conflicts() == []
    assert report.push is not None
    assert report.push.missing_checked == 2
    assert report.push.docs_written == 0


def test_any_trees_end_up_the_same(pair: Pair, way: str) -> None:
    """Winners and leaves of 100 random trees, half of whose revisions either side had (DATA A3.2)."""
    random = Random(way)
    revisions = [one for n in range(100) for one in tree(random, f"t{n}")]
    random.shuffle(revisions)
    half = len(revisions) // 2
    pair.here.write_revisions(revisions[:half])
    pair.there.write_revisions(revisions[half:])
    pair.sync(batch_size=20, batch_max=20)
    assert pair.same()
    known: dict[str, list[Any]] = {}
    for one in revisions:
        known.setdefault(one["_id"], []).append(one)
    for name, all_of_it in known.items():
        inner = {
            (r["_revisions"]["start"] - back, hash_)
            for r in all_of_it
            for back, hash_ in enumerate(r["_revisions"]["ids"])
            if back
        }
        tips = [
            (not r.get("_deleted"), int(r["_rev"].split("-")[0]), r["_rev"].split("-")[1])
            for r in all_of_it
        ]
        open_ = [tip for tip in tips if (tip[1], tip[2]) not in inner]
        assert len(pair.here.leaves(name)) == len(open_)
        best = max(open_)
        assert winners(pair.here)[name] == f"{best[1]}-{best[2]}"


def test_deep_histories(pair: Pair, way: str) -> None:
    """#2543 deep recursion; many leaves (CouchDB): a thousand revisions, sixty leaves."""
    source, target = pair.ends(way)
    ids = [f"{n:032x}" for n in range(900, 0, -1)]
    deep = {"_id": "deep", "_rev": f"900-{ids[0]}", "_revisions": {"start": 900, "ids": ids}}
    many = [revision("many", 2, letter + "0", n=letter) for letter in "123456789abcdef"]
    many += [
        {
            **revision("many", 2, "10"),
            "_rev": f"2-{n:032x}",
            "_revisions": {"start": 2, "ids": [f"{n:032x}", "0" * 32]},
        }
        for n in range(2000, 2060)
    ]
    source.write_revisions([deep, *many])
    pair.go(way)
    assert pair.same()
    assert len(target.leaves("many")) == 75
    assert len(target.get("deep", revs=True)["_revisions"]["ids"]) == 900


def test_an_old_leaf_that_wins_comes_over(pair: Pair, way: str) -> None:
    """#3136 open revs, winningRev with a lower seq, style=all_docs with conflicts, and reversed."""
    source, target = pair.ends(way)
    source.write_revisions([revision("a", 4, "dcba"), revision("a", 1, "0")])
    pair.go(way)
    source.write_revisions([revision("a", 5, "edcba", deleted=True)])
    pair.go(way)
    assert pair.same()
    assert target.get("a")["_rev"] == rev(1, "0")


def test_only_what_is_chosen(pair: Pair, way: str) -> None:
    """By doc ids, #2426, #6809; selector; filter, different filters; empty batches #2689; since."""
    source, target = pair.ends(way)
    for n in range(20):
        put(source, f"d{n:02}", n=n, kind="even" if n % 2 == 0 else "odd")
    assert pair.go(way, doc_ids=["d03", "d04", "none"]).docs_written == 2
    assert pair.go(way, selector={"kind": "even", "n": {"$lt": 8}}, batch_size=3).docs_written == 3
    assert winners(target).keys() == {"d00", "d02", "d03", "d04", "d06"}
    if way == "pull":
        pair.couch.filters["app/big"] = lambda doc, query: doc["n"] > int(query["min"])
        options = {"filter": "app/big", "query_params": {"min": 17}, "batch_size": 1}
        assert pair.go(way, **options).docs_written == 2
        assert pair.go(way, **{**options, "query_params": {"min": 15}}).docs_written == 2
    last = source.changes()[16].seq
    since = f"{last}-x" if way == "pull" else last
    report = pair.go(way, since=since)
    assert report.missing_checked == 3
    assert pair.go(way).ok
    assert pair.same()


def test_a_choice_is_checked_before_anything_is_done(pair: Pair) -> None:
    """Invalid doc_ids; invalid selector; filter of a store."""
    wrong: list[dict[str, Any]] = [
        {"doc_ids": "a"},
        {"doc_ids": [1]},
        {"selector": []},
        {"batch_size": 0},
    ]
    wrong += [{"doc_ids": [], "selector": {}}, {"checkpoints": "some"}]
    for options in wrong:
        with pytest.raises(InvalidInput):
            Options(**options)
    put(pair.here, "a")
    for refused in ({"selector": {"a": {"$none": 1}}}, {"filter": "a/b"}):
        with pytest.raises(InvalidInput):
            pair.push(**refused)
    assert pair.there.info()["update_seq"] == 0


def test_peers_are_verified(pair: Pair) -> None:
    """Source or target does not exist; create_target; replicate from down server; #5452 bad connection."""
    put(pair.here, "a")
    pair.url = f"{pair.couch.url}/none"
    for go in (pair.push, pair.pull):
        with pytest.raises(PeerMissing, match="no database"):
            go()
    assert pair.push(create_target=True).docs_written == 1
    assert leaves(pair.couch.databases["none"]) == leaves(pair.here)
    assert pair.push(create_target=True).docs_written == 0
    pair.url = "http://127.0.0.1:9/db"
    with pytest.raises(PeerUnreachable) as caught:
        pair.push()
    assert pair.pauses == []  # nobody who waits for it is kept waiting
    assert caught.value.report is not None
    assert caught.value.report.docs_written == 0


def test_between_any_two_peers(pair: Pair, tmp_path: Any) -> None:
    """Two stores; two databases of servers; attachments and all."""
    other = DocumentStore(tmp_path / "other.db")
    data = {"x": {"content_type": "text/plain", "data": "aGVsbG8="}}
    put(pair.here, "a", _attachments=data)
    put(other, "b")
    assert sync(LocalPeer(pair.here), LocalPeer(other)).ok
    assert everything(pair.here) == everything(other)
    pair.push()
    pair.url = f"{pair.couch.url}/second"
    second = pair.remote
    pair.url = ""
    replicate(pair.remote, second, Options(create_target=True))
    assert everything(pair.couch.databases["second"]) == everything(other)
    other.close()


def test_only_what_a_replication_needs_is_asked(pair: Pair, way: str) -> None:
    """No needless checkpoint #5379; empty run; consecutive runs; #2342 update_seq."""
    source, target = pair.ends(way)
    put(source, "a", "b")
    pair.go(way)
    before = [store.info()["update_seq"] for store in (source, target)]
    pair.couch.asked.clear()
    report = pair.go(way)
    expected = ["GET /_local"] + (["GET /_changes"] if way == "pull" else [])
    assert paths(pair.couch.asked) == expected
    assert (report.docs_read, report.missing_checked) == (0, 0)
    assert report.start_last_seq == report.end_last_seq
    assert [store.info()["update_seq"] for store in (source, target)] == before
