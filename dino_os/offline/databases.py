"""
Calls about the database as a whole: what it is, many documents at once, what a peer lacks.

Each takes the store and the call, and answers as CouchDB does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from dino_os.errors import DinoError, InvalidInput
from dino_os.offline.wire import Answer, Call, as_json, objects, refusal_of, refuse, texts

if TYPE_CHECKING:
    from engines.latent_cache import DocumentStore

_OF_ONE_CALL = 10_000
_READ_AT_ONCE = 50


def info(store: DocumentStore, call: Call) -> Answer:
    """GET /{db}"""
    found = store.info()
    return Answer(
        {
            "db_name": call.segments[0],
            **found,
            "purge_seq": 0,
            "compact_running": False,
            "disk_format_version": 8,
            "instance_start_time": "0",
            "uuid": store.uuid,  # by which who may only read us sees that we were made anew
        }
    )


def create(store: DocumentStore, call: Call) -> Answer:
    """PUT /{db}: it is there."""
    del store, call
    refuse(
        "The database could not be created, the file already exists.",
        HTTPStatus.PRECONDITION_FAILED,
    )


def flushed(store: DocumentStore, call: Call) -> Answer:
    """POST _ensure_full_commit: what was acknowledged is durable already."""
    del store, call
    return Answer({"ok": True, "instance_start_time": "0"}, HTTPStatus.CREATED)


def revs_diff(store: DocumentStore, call: Call) -> Answer:
    """POST _revs_diff"""
    asked = call.json()
    for doc_id, revs in asked.items():
        texts(revs, f"the revisions of {doc_id!r}")
    return Answer(store.revs_diff(asked))


def missing_revs(store: DocumentStore, call: Call) -> Answer:
    """POST _missing_revs, the older form of the same question."""
    found = revs_diff(store, call).document
    return Answer({"missing_revs": {doc_id: it["missing"] for doc_id, it in found.items()}})


def add(store: DocumentStore, call: Call) -> Answer:
    """POST /{db}: one document, whose id we choose where it has none."""
    doc = _named(call.json())
    return Answer(_told(doc["_id"], store.put(doc)), HTTPStatus.CREATED)


def bulk_docs(store: DocumentStore, call: Call) -> Answer:
    """POST _bulk_docs: new edits, or with new_edits=false a peer's revisions as they are."""
    asked = call.json()
    docs = objects(asked.get("docs"), "`docs`")
    if asked.get("new_edits", True) is False:
        return Answer(graft(store, docs), HTTPStatus.CREATED)
    named = [_named(doc) for doc in docs]
    done = zip(named, store.put_many(named), strict=True)
    return Answer([_told(doc["_id"], what) for doc, what in done], HTTPStatus.CREATED)


def graft(store: DocumentStore, docs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write revisions as they are; those that could not be."""
    for doc in docs:
        if not isinstance(doc.get("_id"), str) or not isinstance(doc.get("_rev"), str):
            refuse("with new_edits=false each document needs its _id and _rev")
    return store.write_revisions([dict(doc) for doc in docs])


def _named(doc: dict[str, Any]) -> dict[str, Any]:
    """*doc* with an id of our choice, where it has none."""
    return doc if "_id" in doc else {"_id": uuid.uuid4().hex, **doc}


def _told(doc_id: Any, what: str | DinoError) -> dict[str, Any]:
    if isinstance(what, DinoError):
        return {"id": doc_id, **refusal_of(what).document}
    return {"ok": True, "id": doc_id, "rev": what}


# --- reading many -------------------------------------------------------------------------------


def bulk_get(store: DocumentStore, call: Call) -> Answer:
    """POST _bulk_get: named revisions of named documents, with their histories."""
    asked = objects(call.json().get("docs"), "`docs`")
    if len(asked) > _OF_ONE_CALL:
        refuse(f"more than {_OF_ONE_CALL:,} documents", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    for one in asked:
        if not isinstance(one.get("id"), str) or not isinstance(one.get("rev"), str | None):
            refuse("each of `docs` needs an `id`, and may name a `rev`")
        texts(one.get("atts_since", []), "`atts_since`")
    wants = _Wants(*(call.flag(name) for name in ("attachments", "latest", "revs")))
    return Answer(blocks=_bulk(store, wants, asked))


class _Wants(NamedTuple):
    attachments: bool
    latest: bool
    revs: bool


def _bulk(
    store: DocumentStore, wants: _Wants, asked: Sequence[Mapping[str, Any]]
) -> Iterator[bytes]:
    """The answer, piece by piece: all of it may be more than there is memory."""
    before = b'{"results":['
    for at in range(0, len(asked), _READ_AT_ONCE):
        some = asked[at : at + _READ_AT_ONCE]
        # Leaves, which is what is asked for mostly, together.
        named = [(one["id"], one["rev"]) for one in some if one.get("rev")]
        leaves = {(doc["_id"], doc["_rev"]): doc for doc in store.read_revisions(named)}
        for one in some:
            yield before + as_json(_got(store, wants, one, leaves)).strip()
            before = b","
    yield b"]}\n" if asked else before + b"]}\n"


def _got(
    store: DocumentStore,
    wants: _Wants,
    asked: Mapping[str, Any],
    leaves: Mapping[tuple[str, str | None], dict[str, Any]],
) -> dict[str, Any]:
    doc_id, rev = asked["id"], asked.get("rev")
    leaf = leaves.get((doc_id, rev))
    if leaf is not None and not (wants.attachments and "_attachments" in leaf):
        return {"id": doc_id, "docs": [_got_one(wants, doc_id, dict(leaf))]}
    try:
        found = store.open_revs(
            doc_id,
            None if rev is None else [rev],
            latest=wants.latest,
            attachments=wants.attachments,
            atts_since=asked.get("atts_since", []),
        )
    except InvalidInput as error:  # of this one, not of the others
        told = {"id": doc_id, "rev": rev, "error": "bad_request", "reason": error.message}
        return {"id": doc_id, "docs": [{"error": told}]}
    if not found:
        found = [{"missing": rev or "undefined"}]
    return {"id": doc_id, "docs": [_got_one(wants, doc_id, doc) for doc in found]}


def _got_one(wants: _Wants, doc_id: str, doc: dict[str, Any]) -> dict[str, Any]:
    if (rev := doc.get("missing")) and "_id" not in doc:
        return {"error": {"id": doc_id, "rev": rev, "error": "not_found", "reason": "missing"}}
    if not wants.revs:
        doc.pop("_revisions", None)
    return {"ok": doc}


def all_docs(store: DocumentStore, call: Call) -> Answer:
    """GET or POST _all_docs: by id, a range of them, or those that are named."""
    keys = call.json().get("keys") if call.method == "POST" and call.body else None
    keys = call.value("keys") if keys is None else keys
    if keys is not None:
        rows = [_row(store, call, key) for key in texts(keys, "`keys`")]
    else:
        rows = _range(store, call)
    skip, limit = call.number("skip") or 0, call.number("limit")
    rows = rows[skip:] if limit is None else rows[skip : skip + limit]
    total = store.info()
    return Answer({"total_rows": total["doc_count"], "offset": skip, "rows": rows})


def _range(store: DocumentStore, call: Call) -> list[dict[str, Any]]:
    key = call.value("key")
    if key is not None:
        row = _row(store, call, key)
        return [] if "error" in row or row["value"].get("deleted") else [row]
    start, end = call.value("startkey", "start_key"), call.value("endkey", "end_key")
    for bound in (start, end):
        if not isinstance(bound, str | None):
            refuse("keys of documents are strings")
    limit, skip = call.number("limit"), call.number("skip") or 0
    include = call.flag("include_docs")
    found = store.all_docs(
        start=start,
        end=end,
        # One more: the end itself may be left out below.
        limit=None if limit is None else limit + skip + 1,
        descending=call.flag("descending"),
        include_docs=include and not (call.flag("conflicts") or call.flag("attachments")),
    )
    if not call.flag("inclusive_end", default=True):
        found = [row for row in found if row["id"] != end]
    plain = not include or (found and "doc" in found[0])
    return found if plain else [_row(store, call, row["id"]) for row in found]


def _row(store: DocumentStore, call: Call, doc_id: str) -> dict[str, Any]:
    """The row of one id; of one that nobody has, CouchDB gives an error and no status."""
    leaves = store.leaves(doc_id) if isinstance(doc_id, str) else []
    if not leaves:
        return {"key": doc_id, "error": "not_found"}
    rev, deleted = leaves[0]
    row: dict[str, Any] = {"id": doc_id, "key": doc_id, "value": {"rev": rev}}
    if deleted:
        row["value"]["deleted"] = True
    if call.flag("include_docs"):
        row["doc"] = None if deleted else document(store, call, doc_id)
    return row


def document(store: DocumentStore, call: Call, doc_id: str) -> dict[str, Any]:
    """The winner of *doc_id*, with what the call asks for besides."""
    return store.get(doc_id, attachments=call.flag("attachments"), conflicts=call.flag("conflicts"))
