"""Documents: what is put is found, whole, in the wire's form; and what the protocol asks for."""

from __future__ import annotations

import base64
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.latent_cache import CacheError, Change, Conflict, DocumentStore, Missing, OfflineQueue
from engines.nav_mesh import Request
from tests.latent_cache.conftest import Clock, recorded, revision

DATA = b"\0\xff" * 50


def with_file(name: str, rev: str | None = None, data: bytes = DATA, **more: Any) -> dict[str, Any]:
    told = {"content_type": "image/png", "data": base64.b64encode(data).decode()}
    found = {"_id": name, "_attachments": {"photo": told}, **more}
    return {**found, "_rev": rev} if rev else found


def test_a_document_comes_back_as_it_was_put(store: DocumentStore) -> None:
    body = {"text": "é\0\U0001f600", "n": 2**63, "deep": [1.5, None, {"": []}], "big": 2**70}
    rev = store.put({"_id": "a/b c", **body})
    assert store.get("a/b c") == {"_id": "a/b c", "_rev": rev, **body}
    assert type(store.get("a/b c")["big"]) is int
    with pytest.raises(Missing, match="no document 'b'"):
        store.get("b")
    with pytest.raises(Missing):
        store.get("a/b c", rev="1-abc")


@pytest.mark.parametrize(
    "doc",
    [
        {},
        {"_id": ""},
        {"_id": 1},
        {"_id": "_x"},
        {"_id": "a\0"},
        {"_id": "\ud800"},
        {"_id": "x" * 5000},
        {"_id": "a", "_x": 1},
        {"_id": "a", "_deleted": "yes"},
        {"_id": "a", "_rev": "x"},
        {"_id": "a", "_attachments": []},
        {"_id": "a", "_attachments": {"_x": {"data": ""}}},
        {"_id": "a", "_attachments": {"x": {"data": "?"}}},
        {"_id": "a", "_attachments": {"x": {}}},
        {"_id": "a", "_attachments": {"x": {"data": bytes(8 * 2**20 + 1)}}},
        {"_id": "a", "_attachments": {"x": {"stub": True}}},
        {"_id": "a", "x": "x" * 2**23},
        [],
    ],
    ids=lambda doc: ascii(doc)[:40],
)
def test_what_is_no_document_is_refused_and_changes_nothing(store: DocumentStore, doc: Any) -> None:
    with pytest.raises(InvalidInput):
        store.put(doc)
    (failure,) = store.write_revisions([doc])
    assert failure["error"] in {"bad_request", "missing_stub"}
    assert store.info() == {"doc_count": 0, "doc_del_count": 0, "update_seq": 0}


def test_what_servers_add_to_a_document_is_no_part_of_it(store: DocumentStore) -> None:
    store.put({"_id": "_design/x", "_conflicts": [], "_revs_info": [], "_local_seq": 1, "n": 1})
    assert store.get("_design/x").keys() == {"_id", "_rev", "n"}


def test_many_are_put_in_one_transaction_each_with_its_own_answer(store: DocumentStore) -> None:
    store.put({"_id": "there"})
    good, conflict, bad, again = store.put_many(
        [{"_id": "a"}, {"_id": "there"}, {"_id": "_b"}, {"_id": "a"}]
    )
    assert good == "1-967a00dff5e02add41819138abb3284d"
    assert (type(conflict), type(bad), type(again)) == (Conflict, InvalidInput, Conflict)
    assert [row["id"] for row in store.all_docs()] == ["a", "there"]


def test_the_feed_has_each_document_once_at_its_latest_change(store: DocumentStore) -> None:
    first = {name: store.put({"_id": name}) for name in "abc"}
    rev = store.put({"_id": "a", "_rev": first["a"], "n": 1})
    gone = store.remove("b", first["b"])
    assert store.changes() == [
        Change(3, "c", (first["c"],), deleted=False),
        Change(4, "a", (rev,), deleted=False),
        Change(5, "b", (gone,), deleted=True),
    ]
    assert [change.id for change in store.changes(3, limit=1)] == ["a"]
    assert [change.id for change in store.changes(doc_ids=["b", "c", "x"])] == ["c", "b"]
    assert [change.id for change in store.changes(doc_ids=["b", "c"], limit=1)] == ["c"]
    assert store.info() == {"doc_count": 2, "doc_del_count": 1, "update_seq": 5}
    store.write_revisions([revision("c", "1-a", n=1)])
    (change,) = store.changes(5)
    assert (change.seq, set(change.revs)) == (6, {first["c"], "1-a"})
    assert store.changes(5, all_leaves=False)[0].revs == change.revs[:1]


def test_what_is_known_already_changes_nothing(store: DocumentStore, log: Path) -> None:
    doc = revision("x", "2-b", "a", n=1)
    for _ in range(2):
        assert store.write_revisions([doc, doc, revision("x", "1-a")]) == []
    assert store.info()["update_seq"] == 1
    store.settle()
    assert [event["rev"] for event in recorded(log)] == ["2-b"]


def test_ranges_and_prefixes_are_scanned_in_the_order_of_bytes(store: DocumentStore) -> None:
    names = ["B", "a", "a:1", "a:2", "b", "é", "\uffff", "\U0001f600"]
    store.put_many([{"_id": name, "n": 1} for name in reversed(names)])
    store.remove("b", store.get("b")["_rev"])
    names.remove("b")

    def ids(**how: Any) -> list[str]:
        return [row["id"] for row in store.all_docs(**how)]

    assert ids() == names
    assert ids(start="a", end="a:2") == ["a", "a:1", "a:2"]
    assert ids(start="a:2", end="a", descending=True, limit=2) == ["a:2", "a:1"]
    assert ids(prefix="a:") == ["a:1", "a:2"]
    assert ids(prefix="\uffff") == ["\uffff"]
    assert ids(prefix="\U0010ffff") == []
    (row,) = store.all_docs(prefix="a:2", include_docs=True)
    assert row["doc"] == store.get("a:2")
    assert (row["key"], row["value"]["rev"]) == ("a:2", row["doc"]["_rev"])


# --- the protocol --------------------------------------------------------------------------------


def test_revs_diff_names_what_is_missing_and_what_it_could_follow_on(store: DocumentStore) -> None:
    """PouchDB: plain, missing with all revisions, conflicting, deleted and empty revs."""
    store.write_revisions([revision("x", "3-c", "b", "a"), revision("x", "2-z", "a")])
    store.write_revisions([revision("d", "2-d", "a", _deleted=True)])
    asked = {
        "x": ["3-c", "2-b", "2-z", "1-a", "4-q", "2-q"],
        "d": ["2-d", "1-a"],
        "new": ["1-a", "1-a", "2-b"],
        "none": [],
    }
    assert store.revs_diff(asked) == {
        "x": {"missing": ["4-q", "2-q"], "possible_ancestors": ["3-c", "2-z"]},
        "new": {"missing": ["1-a", "2-b"]},
    }
    with pytest.raises(InvalidInput):
        store.revs_diff({"x": ["abc"]})


def test_open_revs_are_every_leaf_or_those_asked_for(store: DocumentStore) -> None:
    docs = [revision("x", "3-c", "b", "a", n=1), revision("x", "2-z", "a", n=2, _deleted=True)]
    store.write_revisions(docs)
    assert store.open_revs("x", None) == docs
    assert store.open_revs("x", ["2-z", "9-x"]) == [docs[1], {"missing": "9-x"}]
    assert store.open_revs("x", ["1-a"]) == [{"missing": "1-a"}]
    assert store.open_revs("x", ["1-a", "3-c"], latest=True) == docs
    assert store.open_revs("none", None) == []


def test_revisions_are_read_many_at_once_those_that_are_there(store: DocumentStore) -> None:
    docs = [revision("x", "2-b", "a", n=1), revision("x", "2-c", "a", n=2), revision("y", "1-a")]
    store.write_revisions(docs)
    asked = [(doc["_id"], doc["_rev"]) for doc in docs]
    assert store.read_revisions([*asked, ("x", "1-a"), ("z", "1-a")]) == docs


def test_local_documents_are_neither_replicated_nor_counted(store: DocumentStore) -> None:
    """PouchDB's local docs: put, get, revisions of their own, conflict, remove."""
    assert store.get_local("check") is None
    assert store.put_local("_local/check", {"seq": 1}) == "0-1"
    assert store.put_local("_local/_pouch", {"seq": 1}) == "0-1"
    assert store.put_local("check", {"_rev": "0-1", "seq": 2}) == "0-2"
    with pytest.raises(Conflict):
        store.put_local("check", {"_rev": "0-1", "seq": 3})
    assert store.get_local("check") == {"_id": "_local/check", "_rev": "0-2", "seq": 2}
    assert store.info() == {"doc_count": 0, "doc_del_count": 0, "update_seq": 0}
    assert (store.changes(), store.all_docs()) == ([], [])
    store.put_local("check", {"_deleted": True})
    assert store.get_local("check") is None


def test_revisions_and_local_documents_are_written_in_one_transaction(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = [revision("x", "1-a")]
    with pytest.raises(InvalidInput):
        store.write_revisions(docs, local={"check": {"seq": object()}})
    assert (store.changes(), store.get_local("check")) == ([], None)
    assert store.write_revisions(docs, local={"check": {"seq": 1}}) == []
    assert (len(store.changes()), store.get_local("check")["seq"]) == (1, 1)


# --- attachments ---------------------------------------------------------------------------------


def test_an_attachment_is_a_stub_unless_its_bytes_are_asked_for(store: DocumentStore) -> None:
    first = store.put(with_file("x"))
    digest = "md5-" + base64.b64encode(__import__("hashlib").md5(DATA).digest()).decode()
    told = {"content_type": "image/png", "revpos": 1, "digest": digest}
    assert store.get("x")["_attachments"] == {"photo": {**told, "length": 100, "stub": True}}
    full = store.get("x", attachments=True)["_attachments"]["photo"]
    assert full == {**told, "data": base64.b64encode(DATA).decode()}
    assert store.attachment(digest) == DATA
    second = store.put({**store.get("x"), "n": 1})
    assert store.get("x")["_attachments"]["photo"]["revpos"] == 1
    (doc,) = store.open_revs("x", None, atts_since=[first])
    assert doc["_attachments"]["photo"]["stub"]
    (doc,) = store.open_revs("x", [second], atts_since=["1-other"])
    assert base64.b64decode(doc["_attachments"]["photo"]["data"]) == DATA
    with pytest.raises(Missing):
        store.attachment("md5-x")


def test_attachments_travel_between_stores_and_stubs_are_resolved(stores: Any) -> None:
    one, other = stores("one"), stores("other")
    first = one.put(with_file("x"))
    assert other.write_revisions(one.open_revs("x", None)) == []
    one.put({**one.get("x"), "n": 1})
    assert other.write_revisions(one.open_revs("x", None, atts_since=[first])) == []
    assert other.get("x", attachments=True) == one.get("x", attachments=True)
    (failure,) = stores("third").write_revisions(one.open_revs("x", None, attachments=False))
    assert (failure["error"], failure["id"]) == ("missing_stub", "x")


def test_a_stub_of_another_branch_brings_its_own_bytes_whatever_the_place(stores: Any) -> None:
    store = stores()
    photo = {"content_type": "image/png", "data": b"theirs"}
    store.put({"_id": "y", "_attachments": {"photo": photo}})
    theirs = store.get("y")["_attachments"]["photo"]["digest"]
    first = store.put({"_id": "x"})
    store.put({"_rev": first, **with_file("x")})
    stub = {"content_type": "image/png", "length": 6, "revpos": 2, "stub": True, "digest": theirs}
    other = revision("x", "2-ff", first[2:], _attachments={"photo": stub})
    assert store.write_revisions([other]) == []
    told = store.get("x", rev="2-ff", attachments=True)["_attachments"]["photo"]
    assert base64.b64decode(told["data"]) == b"theirs"
    unknown = {**stub, "digest": "md5-AAAAAAAAAAAAAAAAAAAAAA=="}
    doc = revision("x", "2-fe", first[2:], _attachments={"photo": unknown})
    (failure,) = store.write_revisions([doc])
    assert failure["error"] == "missing_stub"


def test_a_revision_that_no_edit_could_follow_is_refused(store: DocumentStore) -> None:
    (failure,) = store.write_revisions([{"_id": "x", "_rev": "999999999999999-a"}])
    assert failure["error"] == "bad_request"
    assert store.write_revisions([{"_id": "x", "_rev": "99999999999999-a"}]) == []
    last = store.put({"_id": "x", "_rev": "99999999999999-a"})
    assert store.get("x", rev=last)["_rev"] == last


def test_an_attachment_may_be_as_large_as_it_says_and_is_kept_once(
    store: DocumentStore, log: Path
) -> None:
    data = bytes(8 * 2**20)
    for name in "ab":
        store.put(with_file(name, data=data))
    assert len(store.attachment(store.get("b")["_attachments"]["photo"]["digest"])) == len(data)
    assert store.path.with_name("documents.db-wal").stat().st_size < 2 * len(data)
    rev = store.get("a")["_rev"]
    store.put({"_id": "a", "_rev": rev})
    assert store.compact()["attachments"] == 0
    store.remove("b", store.get("b")["_rev"])
    freed = store.compact()
    assert freed["attachments"] == 1
    assert freed["bytes"] > len(data) // 2


def test_other_bytes_with_a_known_digest_are_refused(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MD5 can be made to collide; what was there first stays what it is."""
    store.put(with_file("x", data=b"first"))
    same = store.get("x")["_attachments"]["photo"]["digest"]
    monkeypatch.setattr("engines.latent_cache.wire.digest_of", lambda _: same)
    with pytest.raises(InvalidInput, match="other bytes"):
        store.put(with_file("y", data=b"second"))
    assert store.attachment(same) == b"first"


# --- files and processes -------------------------------------------------------------------------


def test_a_store_is_known_by_its_own_id_for_ever(tmp_path: Path) -> None:
    first = DocumentStore(tmp_path / "a.db").uuid
    assert (len(first), DocumentStore(tmp_path / "a.db").uuid) == (32, first)
    assert DocumentStore(tmp_path / "b.db").uuid != first


def test_waiting_ends_with_a_change_of_any_connection(store: DocumentStore) -> None:
    assert not store.wait(0, 0)
    other = DocumentStore(store.path)
    thread = threading.Thread(target=other.put, args=({"_id": "x"},))
    thread.start()
    assert store.wait(0, 30)
    assert not store.wait(1, 0.001)
    thread.join()
    other.close()


def test_what_is_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "text.db").write_text("a diary " * 1000)
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE diary (day)")
    db.close()
    for name in ("text.db", "other.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(CacheError, match=name):
            DocumentStore(tmp_path / name).put({"_id": "x"})
        assert (tmp_path / name).read_bytes() == before


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    store = DocumentStore(tmp_path / "a.db")
    store.put({"_id": "x"})
    with store.reading() as db:
        db.execute("PRAGMA user_version=99")
    store.close()
    with pytest.raises(CacheError, match="newer Dino"):
        store.get("x")


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_is_taken_along(tmp_path: Path, version: int) -> None:
    """From before requests had cells, releases had numbers, and values were set in one step."""
    store = DocumentStore(tmp_path / "a.db")
    queue = OfflineQueue(store)
    before = queue.put("info", "ada", Request("POST", "/1"), authorised=True)
    with store.reading() as db:
        for column in ("cell", "released_number")[version - 1 :]:
            db.execute(f"ALTER TABLE requests DROP COLUMN {column}")
        db.execute("DROP VIEW setting")
        db.execute(f"PRAGMA user_version={version}")
    store.close()
    queue.put("info", "ada", Request("POST", "/2", cell="desk"), authorised=True)
    assert [one.request.cell for one in queue.waiting()] == ["", "desk"]
    assert queue.find(before.id).state == "queued"
    queue.hold(before.id, "to look at")
    queue.release(before.id, number=7)
    assert queue.find(before.id).released_number == 7
    for number in range(3):
        store.set("level", {"value": number})
    assert store.get("level")["value"] == 2
    store.close()


def test_a_rehearsal_reads_and_changes_nothing(store: DocumentStore, tmp_path: Path) -> None:
    store.put({"_id": "x"})
    seen = DocumentStore(store.path, read_only=True)
    assert seen.get("x")["_id"] == "x"
    for change in (lambda: seen.put({"_id": "y"}), lambda: seen.purge("x")):
        with pytest.raises(CacheError, match="rehearsal"):
            change()
    seen.close()
    none = DocumentStore(tmp_path / "none.db", read_only=True)
    assert (none.all_docs(), none.settle()) == ([], 0)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("settings", [{"revs_limit": 1}, {"expire": "never"}])
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(InvalidInput):
        DocumentStore(tmp_path / "a.db", **settings)


def test_a_full_disk_is_a_cache_error(store: DocumentStore, log: Path) -> None:
    store.put({"_id": "x"})
    with store.reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(CacheError, match="full"):
        store.put({"_id": "y", "text": "x" * 100_000})
    assert [row["id"] for row in store.all_docs()] == ["x"]


def test_the_journal_has_each_change_by_hash_and_size_and_no_body(
    store: DocumentStore, log: Path, clock: Clock
) -> None:
    from hashlib import sha256

    rev = store.put({"_id": "x", "note": "canary-7f3a"})
    gone = store.remove("x", rev)
    store.purge("x")
    store.put_local("check", {"note": "canary-7f3a"})
    store.settle()
    body = b'{"note":"canary-7f3a"}'
    facts = {"sha256": sha256(body).hexdigest(), "size_bytes": len(body)}
    assert [
        {k: e[k] for k in ("event_type", "id", "rev", "sha256", "size_bytes") if k in e}
        for e in recorded(log)
    ] == [
        {"event_type": "document_written", "id": "x", "rev": rev, **facts},
        {
            "event_type": "document_deleted",
            "id": "x",
            "rev": gone,
            "sha256": sha256(b"{}").hexdigest(),
            "size_bytes": 2,
        },
        {"event_type": "document_purged", "id": "x", "rev": gone},
        {"event_type": "local_written", "id": "check", **facts},
    ]
    assert {e["at"] for e in recorded(log)} == {clock.now}
    assert "canary" not in log.read_text()


def test_a_store_without_a_journal_records_nothing(tmp_path: Path) -> None:
    with DocumentStore(tmp_path / "a.db") as store:
        store.put({"_id": "x"})
        assert store.settle() == 0
    with DocumentStore(tmp_path / "a.db", Journal(tmp_path / "a.jsonl")) as store:
        assert store.settle() == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from("abc"),
            st.sampled_from(["set", "set", "set", "spare", "attach", "discard", "purge"]),
        ),
        max_size=30,
    )
)
def test_what_others_did_since_is_seen_by_whoever_sets(steps: list[tuple[int, str, str]]) -> None:
    """Who wrote a document last does not look it up; it may be gone by then, or another's."""
    with tempfile.TemporaryDirectory() as folder:
        both = [DocumentStore(Path(folder) / "a.db") for _ in range(2)]
        with both[0].reading() as db, both[1].reading() as other:
            db.execute("PRAGMA synchronous=OFF")
            other.execute("PRAGMA synchronous=OFF")
        expected: dict[str, int] = {}
        for number, (side, name, step) in enumerate(steps):
            store = both[side]
            if step in {"set", "spare"}:
                rev = store.set(name, {"n": number}, ttl_s=3600 if step == "spare" else None)
                assert store.get(name)["_rev"] == rev
                expected[name] = number
            elif name not in expected:
                continue
            elif step == "attach":
                store.attach(name, "note", b"x")
            else:
                store.discard(name) if step == "discard" else store.purge(name)
                del expected[name]
            assert {name for name in "abc" if _is_there(both[1 - side], name)} == set(expected)
        for name, value in expected.items():
            assert [store.get(name)["n"] for store in both] == [value, value]
        told = {change.id: change.revs[0] for change in both[0].changes() if not change.deleted}
        assert told == {name: both[1].get(name)["_rev"] for name in expected}
        for store in both:
            store.close()


def _is_there(store: DocumentStore, name: str) -> bool:
    return store.members(name) is not None
