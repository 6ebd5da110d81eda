"""
Calls about one document: its revisions, its attachments, and the local ones that do not travel.

Each takes the store and the call, and answers as CouchDB does.
"""

from __future__ import annotations

import base64
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dino_os.offline.databases import graft
from dino_os.offline.wire import Answer, Call, refuse
from engines.latent_cache import Conflict

if TYPE_CHECKING:
    from engines.latent_cache import DocumentStore

_ANY_KIND = "application/octet-stream"
_is_kind = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+[ -~]*", re.ASCII).fullmatch
_DESIGN, _LOCAL = "_design", "_local"
# What a page of somebody's could do with an attachment that is one too.
_HARMLESS = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


def name_of(call: Call) -> tuple[str, str]:
    """Id, and name of the attachment or nothing."""
    rest = call.segments[1:]
    head = 2 if rest[0] in {_DESIGN, _LOCAL} else 1
    if len(rest) < head or not all(rest[:head]):
        refuse("missing", HTTPStatus.NOT_FOUND)
    return "/".join(rest[:head]), "/".join(rest[head:])


# --- documents ----------------------------------------------------------------------------------


def read(store: DocumentStore, call: Call) -> Answer:
    """GET or HEAD of a document: the winner, a revision, or (open_revs) several."""
    doc_id, _ = name_of(call)
    if "open_revs" in call.query:
        return _open_revs(store, call, doc_id)
    rev = call.query.get("rev")
    if rev is not None and call.flag("latest"):
        rev = _latest(store, doc_id, rev)
    doc = store.get(
        doc_id,
        rev=rev,
        attachments=call.flag("attachments"),
        conflicts=call.flag("conflicts"),
        revs=call.flag("revs"),
    )
    return Answer(doc, headers={"ETag": f'"{doc["_rev"]}"'})


def _latest(store: DocumentStore, doc_id: str, rev: str) -> str:
    found = store.open_revs(doc_id, [rev], latest=True, attachments=False)
    return str(found[0].get("_rev", rev)) if found else rev


def _open_revs(store: DocumentStore, call: Call, doc_id: str) -> Answer:
    revs = None if call.query["open_revs"] == "all" else call.texts("open_revs")
    found = store.open_revs(
        doc_id,
        revs,
        latest=call.flag("latest"),
        attachments=call.flag("attachments"),
        atts_since=call.texts("atts_since") or (),
    )
    if revs is None and not found:
        refuse("missing", HTTPStatus.NOT_FOUND)
    for doc in found:
        if not call.flag("revs"):
            doc.pop("_revisions", None)
    return Answer([{"ok": doc} if "_id" in doc else doc for doc in found])


def write(store: DocumentStore, call: Call) -> Answer:
    """PUT of a document."""
    doc_id, _ = name_of(call)
    doc = call.json()
    if doc.setdefault("_id", doc_id) != doc_id:
        refuse("Document ID must match the one of the address")
    rev = _rev_of(call)
    if rev and doc.setdefault("_rev", rev) != rev:
        refuse("Document rev and etag have different values")
    if not call.flag("new_edits", default=True):
        failed = graft(store, [doc])
        if failed:
            large = failed[0]["error"] == "too_large"
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if large else HTTPStatus.FORBIDDEN
            refuse(str(failed[0]["reason"]), status)
        return _changed(doc_id, doc["_rev"])
    return _changed(doc_id, store.put(doc))


def remove(store: DocumentStore, call: Call) -> Answer:
    """DELETE of a document: a revision that says so."""
    doc_id, _ = name_of(call)
    rev = _rev_of(call)
    if rev is None:
        store.get(doc_id)  # one that is not there is that, first of all
        raise Conflict(doc_id, None)
    return _changed(doc_id, store.remove(doc_id, rev), HTTPStatus.OK)


def _rev_of(call: Call) -> str | None:
    return call.query.get("rev") or call.headers.get("if-match", "").strip('"') or None


def _changed(doc_id: str, rev: str, status: HTTPStatus = HTTPStatus.CREATED) -> Answer:
    return Answer({"ok": True, "id": doc_id, "rev": rev}, status, {"ETag": f'"{rev}"'})


# --- attachments --------------------------------------------------------------------------------


def read_attachment(store: DocumentStore, call: Call) -> Answer:
    doc_id, name = name_of(call)
    doc = store.get(doc_id, rev=call.query.get("rev"))
    found = doc.get("_attachments", {}).get(name)
    if found is None:
        refuse("Document is missing attachment", HTTPStatus.NOT_FOUND)
    headers = {"ETag": f'"{found["digest"]}"', **_HARMLESS}
    content = store.attachment(found["digest"])
    # Whoever wrote it may have called it anything.
    kind = found["content_type"] if _is_kind(found["content_type"]) else _ANY_KIND
    return Answer(content=content, kind=kind, headers=headers)


def write_attachment(store: DocumentStore, call: Call) -> Answer:
    doc_id, name = name_of(call)
    kind = call.headers.get("content-type", _ANY_KIND)
    doc = _to_change(store, call, doc_id)
    data = base64.b64encode(call.body).decode()
    doc["_attachments"] = {
        **doc.get("_attachments", {}),
        name: {"content_type": kind, "data": data},
    }
    return _changed(doc_id, store.put(doc))


def remove_attachment(store: DocumentStore, call: Call) -> Answer:
    doc_id, name = name_of(call)
    doc = _to_change(store, call, doc_id)
    if doc.get("_attachments", {}).pop(name, None) is None:
        refuse("Document is missing attachment", HTTPStatus.NOT_FOUND)
    return _changed(doc_id, store.put(doc), HTTPStatus.OK)


def _to_change(store: DocumentStore, call: Call, doc_id: str) -> dict[str, Any]:
    """The revision that the call names; without one a new document, if there is none."""
    if rev := _rev_of(call):
        return store.get(doc_id, rev=rev)
    return {"_id": doc_id}


# --- local documents ----------------------------------------------------------------------------


def read_local(store: DocumentStore, call: Call) -> Answer:
    name = _local_name(call)
    found = store.get_local(name)
    if found is None:
        refuse("missing", HTTPStatus.NOT_FOUND)
    return Answer(found)


def write_local(store: DocumentStore, call: Call) -> Answer:
    """PUT of a local document: checkpoints of replications, mostly."""
    name = _local_name(call)
    return _changed(f"{_LOCAL}/{name}", store.put_local(name, call.json()))


def remove_local(store: DocumentStore, call: Call) -> Answer:
    name = _local_name(call)
    if store.get_local(name) is None:
        refuse("missing", HTTPStatus.NOT_FOUND)
    gone = {"_deleted": True, **({"_rev": rev} if (rev := _rev_of(call)) else {})}
    return _changed(f"{_LOCAL}/{name}", store.put_local(name, gone), HTTPStatus.OK)


def _local_name(call: Call) -> str:
    return name_of(call)[0].removeprefix(f"{_LOCAL}/")
