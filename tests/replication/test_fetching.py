"""
Attachments, and servers that can less.

PouchDB's titles on attachments; CouchDB's eunit modules bulk_get, missing_stubs, id_too_long,
small_max_request_size_target, max_document_size_target, error_reporting.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.replication import PeerUnreachable, fetching, local, remote
from engines.replication.model import Wanted
from engines.replication.multipart import documents_of, parameters
from tests.replication.couch import mixed
from tests.replication.kit import QUICK, Pair, everything, put, rev, revision

SERVERS = {
    "CouchDB 3": {},
    "no _bulk_get": {"lacks": {"_bulk_get"}},
    "no _bulk_get, no parts": {"lacks": {"_bulk_get"}, "parts": False},
    "CouchDB 1": {"lacks": {"_bulk_get", "_ensure_full_commit"}},
}


def data(text: bytes, kind: str = "text/plain") -> dict[str, Any]:
    return {"content_type": kind, "data": b64encode(text).decode()}


@pytest.mark.parametrize("server", SERVERS)
def test_whatever_a_server_lacks(pair: Pair, way: str, server: str) -> None:
    """Documents, deletions, conflicts and attachments come over from, and to, each of them."""
    for name, value in SERVERS[server].items():
        setattr(pair.couch, name, value)
    source, target = pair.ends(way)
    put(source, "plain", "_design/d", "a/b c", n=1)
    put(
        source,
        "atts",
        _attachments={"a b.txt": data(b"one"), "ü/x.bin": data(b"\0\r\n--other\r\n" * 9)},
    )
    put(source, "empty", _attachments={"e": data(b"")})
    source.write_revisions([revision("plain", 2, "ab"), revision("plain", 2, "cb", deleted=True)])
    report = pair.go(way)
    assert report.ok
    assert pair.same()
    assert target.attachment(source.get("empty")["_attachments"]["e"]["digest"]) == b""
    put(source, "atts", _attachments=source.get("atts")["_attachments"], more=True)
    assert pair.go(way).ok
    assert pair.same()
    assert target.get("atts", revs=True)["_revisions"]["start"] == 2


def test_attachments_go_in_parcels_of_bounded_size(
    pair: Pair, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may hold more than memory does; one document larger than a parcel goes alone."""
    for module in (fetching, local, remote):
        monkeypatch.setattr(module, "PARCEL_BYTES", 4000)
    source, _ = pair.ends(way)
    random = Random(1)
    for n, size in enumerate([1000, 1000, 1000, 2000, 9000, 100, 100]):
        put(source, f"d{n}", _attachments={"x": data(random.randbytes(size)), "y": data(b"y")})
    assert pair.go(way).docs_written == 7
    assert pair.same()
    assert pair.couch.count("POST /_bulk_docs" if way == "push" else "POST /_bulk_get") in range(
        3, 7
    )


def test_large_bodies_count_as_attachments_do(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PARCEL_BYTES", 4000)
    put(pair.here, *(f"d{n}" for n in range(70)), text="x" * 900)
    wanted = [Wanted(one.id, one.revs[0]) for one in pair.here.changes()]
    parcels = [parcel.documents for parcel in pair.local.read(wanted, lambda _digest: True)]
    assert max(map(len, parcels)) <= 4
    assert sum(map(len, parcels)) == 70


def test_documents_are_read_as_many_as_may_be_held(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is too large is halved; a document that alone is too large is named."""
    monkeypatch.setattr(fetching, "PARCEL_BYTES", 1500)
    pair.http = replace(QUICK, answer_bytes=8000)
    for text in ("first", "second"):  # of a second revision each has to be read
        put(pair.there, *(f"d{n}" for n in range(12)), "large", text=text + "x" * 500)
    put(pair.there, "large", text="x" * 9000)
    report = pair.pull()
    assert report.docs_written == 12
    assert [(one.id, one.error, one.refused) for one in report.errors] == [
        ("large", "too_large", True)
    ]
    pair.here.write_revisions(pair.there.open_revs("large", None))
    assert pair.same()


def test_what_the_target_has_is_not_sent_again(pair: Pair) -> None:
    """The bytes of an attachment that is here already stay where they are."""
    put(pair.there, "a", _attachments={"x": data(b"large")})
    pair.pull()
    pair.couch.asked.clear()
    put(pair.there, "a", _attachments=pair.there.get("a")["_attachments"], n=2)
    put(pair.there, "b", _attachments={"other": data(b"large")})
    assert pair.pull().docs_written == 2
    assert pair.same()
    assert pair.couch.count("GET /a/") + pair.couch.count("GET /b/") == 0


def test_new_documents_come_along_with_the_changes(pair: Pair) -> None:
    """Of a first revision there is no history to be read; of all others there is."""
    put(pair.there, *(f"d{n:02}" for n in range(40)), n=1)
    put(pair.there, "d35", _attachments={"x": data(b"1")})
    put(pair.there, "d36", n=2)
    pair.there.write_revisions([revision("d37", 1, "f")])
    pair.pull(batch_size=10, batch_max=10)
    assert pair.same()
    assert pair.couch.count("_bulk_get") == 1
    assert pair.pull(selector={}, batch_size=10).missing_found == 0


def test_a_document_that_is_too_large_is_left_and_named(pair: Pair) -> None:
    """413 for a batch halves it; 413 for one document is its alone."""
    pair.couch.limit = 3000
    put(pair.here, *map(str, range(50)), text="x" * 100)
    put(pair.here, "large", text="x" * 5000)
    report = pair.push()
    assert (report.docs_written, report.doc_write_failures, report.ok) == (50, 1, False)
    assert [(one.id, one.error) for one in report.errors] == [("large", "too_large")]
    again = pair.push()  # it is not forgotten, and nothing else is sent again
    assert (again.missing_checked, again.ok) == (1, False)


def test_a_document_that_is_refused_is_left_and_named(pair: Pair, way: str) -> None:
    """#2268 forbidden, unauthorized, one and many; #942 write failures; not retried; the rest go on."""
    source, _ = pair.ends(way)
    put(source, *"abcdef")
    if way == "push":
        said = {"error": "forbidden", "reason": "not on a Sunday"}
        pair.couch.refuse = lambda doc: said if doc["_id"] in "bd" else None
    else:
        source.write_revisions([{**revision("b", 1, "f"), "x": "y" * 100}])
        pair.here.write_revisions = _refusing(pair.here, "bd")  # type: ignore[method-assign]
    report = pair.go(way, batch_size=2)
    assert report.docs_written == 4
    assert not report.ok
    assert {one.id for one in report.errors} == {"b", "d"}
    assert all(one.refused for one in report.errors)
    for _ in range(2):  # nor forgotten: as long as they are refused, it is not all well
        again = pair.go(way)
        assert (again.missing_checked, again.docs_written) == (len(report.errors), 0)
        assert not again.ok
        assert {one.id for one in again.errors} == {"b", "d"}
    put(source, "d", n=2)
    pair.couch.refuse = lambda _doc: None
    pair.here.__dict__.pop("write_revisions", None)
    assert pair.go(way).ok
    assert pair.same()
    assert pair.go(way).missing_checked == 0  # what is through is asked about no more


def test_bytes_that_went_meanwhile_are_sent_after_all(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target had the attachment when it was asked, and not when it was written."""
    put(pair.there, "a", _attachments={"x": data(b"bytes")})
    has = [True]
    monkeypatch.setattr(pair.here, "has_attachment", lambda _digest: has.pop() if has else False)
    assert pair.pull().ok
    assert pair.same()


def _refusing(store: Any, names: str) -> Any:
    write = store.write_revisions

    def refusing(docs: Any, *, local: Any) -> Any:
        failed = write([doc for doc in docs if doc["_id"] not in names], local=local)
        told = {"error": "bad_request", "reason": "no"}
        return failed + [
            {"id": d["_id"], "rev": d["_rev"], **told} for d in docs if d["_id"] in names
        ]

    return refusing


def test_a_failure_that_may_pass_is_tried_again(pair: Pair) -> None:
    """#4963: at once, some times; and by every run, until it comes through."""
    put(pair.here, *"abcdef")
    failing = {"c"}
    said = {"error": "internal_server_error", "reason": "boom"}
    pair.couch.refuse = lambda doc: said if doc["_id"] in failing else None
    report = pair.push(batch_size=2, batch_max=2, attempts=2)
    # It was tried twice, and then kept no other from getting through.
    assert (report.docs_written, report.retries, report.doc_write_failures) == (5, 1, 0)
    assert [(one.id, one.refused) for one in report.errors] == [("c", False)]
    assert not report.ok
    failing.clear()
    again = pair.push()
    assert (again.missing_checked, again.docs_written, again.ok) == (1, 1, True)
    assert pair.same()
    assert pair.push().missing_checked == 0


def test_a_revision_that_the_source_lists_and_has_not(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and the others come over."""
    put(pair.here, "mine")
    put(pair.there, *"abc")
    there = everything(pair.there)
    monkeypatch.setattr(pair.there, "open_revs", _without(pair.there.open_revs, "b"))
    for lacks in (set(), {"_bulk_get"}):
        pair.couch.lacks = lacks
        report = pair.pull(checkpoints="none")
        assert {one.id: one.refused for one in report.errors} == {"b": True}
    assert everything(pair.here).keys() > {key for key in there if key[0] != "b"}


def test_a_revision_that_is_left_out_of_an_answer_is_asked_for_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the same answer has another of the same document: no leaf is passed over."""
    put(pair.here, "mine")
    pair.there.write_revisions([revision("a", 2, "bx"), revision("a", 2, "cx")])
    whole = pair.there.open_revs

    def one_less(doc_id: str, revs: Any, **more: Any) -> Any:
        return [] if revs == [rev(2, "b")] else list(whole(doc_id, revs, **more))[-1:]

    pair.couch.parts = False
    for lacks in (set(), {"_bulk_get"}):
        pair.couch.lacks = lacks
        with monkeypatch.context() as patch:
            patch.setattr(pair.there, "open_revs", one_less)
            (error,) = pair.pull(attempts=1).errors
            assert (error.error, error.rev) == ("unanswered", rev(2, "b"))
    assert pair.pull().ok
    assert everything(pair.there).keys() <= everything(pair.here).keys()


def _without(open_revs: Any, name: str) -> Any:
    def opened(doc_id: str, revs: Any, **more: Any) -> Any:
        if doc_id == name:
            return [{"missing": rev} for rev in revs]
        return open_revs(doc_id, revs, **more)

    return opened


# --- MIME parts ------------------------------------------------------------------------------------

names = st.text("ab .-_/", min_size=1, max_size=8).map(str.strip).filter(bool)
documents = st.fixed_dictionaries(
    {"_id": names, "_rev": st.just("1-a"), "text": st.text()},
    optional={"_attachments": st.dictionaries(names, st.binary(max_size=50), min_size=1)},
)


@given(docs=st.lists(documents, max_size=4), cut=st.integers(1, 10_000))
def test_parts_are_read_as_they_were_written(docs: list[dict[str, Any]], cut: int) -> None:
    """Whole, or not at all."""
    given_ = json.loads(json.dumps(docs, default=data))
    body = mixed(given_)
    if docs:
        found = documents_of(body, 'multipart/mixed; boundary="outer"')
        for doc in found:
            for told in doc.get("_attachments", {}).values():
                assert told.pop("length") == len(told["data"])
        plain = [
            {name: told["data"] for name, told in doc["_attachments"].items()}
            if "_attachments" in doc
            else doc
            for doc in found
        ]
        assert plain == [doc.get("_attachments", doc) for doc in docs]
    with pytest.raises(PeerUnreachable):
        documents_of(body[: max(len(body) - 3 - cut, 0)], "multipart/mixed; boundary=outer")


def packed(attachment: bytes, length: int) -> bytes:
    """A document with one attachment, packed with gzip; *length* is what it says of it."""
    told = {"follows": True, "encoding": "gzip", "length": length, "digest": "md5-x"}
    doc = json.dumps({"_id": "a", "_rev": "1-a", "_attachments": {"x": told}}).encode()
    parts = b"--i\r\n\r\n%b\r\n--i\r\nContent-Encoding: gzip\r\n\r\n%b\r\n--i--"
    head = b'--o\r\nContent-Type: multipart/related; boundary="i"\r\n\r\n'
    return head + parts % (doc, attachment) + b"\r\n--o--"


def test_a_packed_attachment_is_whole_or_not_taken() -> None:
    """A peer may cut it off, say another length, or pack a bomb."""
    text = bytes(range(256)) * 99
    whole = gzip.compress(text)
    (found,) = documents_of(packed(whole, len(text)), "multipart/mixed; boundary=o")
    assert found["_attachments"]["x"]["data"] == text
    for part, length in ((whole[: len(whole) // 2], len(text)), (whole, len(text) - 1)):
        with pytest.raises(PeerUnreachable):
            documents_of(packed(part, length), "multipart/mixed; boundary=o")
    bomb = gzip.compress(bytes(fetching.PARCEL_BYTES + 1), 1)
    (found,) = documents_of(packed(bomb, 1), "multipart/mixed; boundary=o")
    assert found["_attachments"]["x"]["stub"] is True  # by its name it is read with an end
    assert "data" not in found["_attachments"]["x"]


def test_parameters_of_a_header() -> None:
    kind = 'multipart/mixed; charset=utf-8; boundary="a;\\"b"; x=y'
    assert parameters(kind) == {"charset": "utf-8", "boundary": 'a;"b', "x": "y"}
