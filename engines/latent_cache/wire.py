"""
Documents as they travel: read from the wire's form, and put into it.

Owns what a document may be called and hold.  The wire's form is a mapping with the members `_id`,
`_rev`, `_deleted`, `_revisions` and `_attachments` beside the document's own.

Source: docs.couchdb.org, "Document API" and "Replication protocol".
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from hashlib import md5
from typing import Any, NamedTuple

import orjson

from engines.errors import InvalidInput
from engines.latent_cache.errors import TooLarge
from engines.latent_cache.revision import parse
from engines.latent_cache.tree import Body, Leaf

BODY_LIMIT = 8 * 2**20
ATTACHMENT_LIMIT = 8 * 2**20
ID_LIMIT = 4096
_ANY_KIND = "application/octet-stream"
_holds_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_MOST_IDS = 100_000
_LAST_POS = 10**14  # of a revision that is made elsewhere
_OWN = frozenset({"_id", "_rev", "_deleted", "_revisions", "_attachments"})
# What servers add when they are asked to: told again it says nothing.
_TOLD = _OWN | {"_conflicts", "_deleted_conflicts", "_local_seq", "_revs_info"}
_PLAIN = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


class Attachment(NamedTuple):
    """
    An attachment that a document names.

    Attributes:
        data: None where it is a stub: the bytes are where the document is.
        revpos: Position of the revision that it came with; None is this one.
    """

    name: str
    content_type: str
    digest: str
    revpos: int | None
    length: int
    data: bytes | None


class Draft(NamedTuple):
    """
    A document that is to be written.

    Attributes:
        members: Its own, without those that begin with an underscore.
        body: The same as JSON.
        ids: Of a revision from elsewhere, its hash and those before it.
    """

    id: str
    pos: int
    ids: list[str]
    deleted: bool
    members: dict[str, Any]
    body: Body
    attachments: list[Attachment]

    @classmethod
    def deletion(cls, doc_id: str, leaf: Leaf) -> Draft:
        """The edit that deletes *leaf*."""
        return cls(doc_id, leaf.pos, [leaf.hash], True, {}, b"{}", [])  # noqa: FBT003


def edit(doc: Mapping[str, Any]) -> Draft:
    """
    *doc* as a new edit; `ids` is the revision that it edits, or empty.

    Raises:
        InvalidInput: It is no document.
    """
    members = _members(doc)
    rev = doc.get("_rev")
    pos, hash_ = (0, "") if rev is None else parse(rev)
    return _draft(doc, members, pos, [hash_] if hash_ else [])


def revision(doc: Mapping[str, Any]) -> Draft:
    """
    *doc* as a revision that was made elsewhere, with its history.

    Raises:
        InvalidInput: It is none.
    """
    members = _members(doc)
    pos, hash_ = parse(doc.get("_rev"))
    if pos >= _LAST_POS:
        raise InvalidInput(f"{doc.get('_id')!r}: nobody makes {pos:,} edits of a document"[:300])
    ids = [hash_]
    if (found := doc.get("_revisions")) is not None:
        ids = _history(found, pos, hash_)
    draft = _draft(doc, members, pos, ids)
    if isinstance(draft.body, bytes) and b"null" in draft.body:
        _check_finite(members)  # the encoder takes what is not for null
    return draft


def _draft(doc: Mapping[str, Any], members: dict[str, Any], pos: int, ids: list[str]) -> Draft:
    name = check_id(doc.get("_id"))
    deleted = doc.get("_deleted", False)
    if not isinstance(deleted, bool):
        raise InvalidInput(f"{name!r}: _deleted must be true or false, found {deleted!r}"[:300])
    given = doc.get("_attachments")
    attachments = [] if given is None else list(_attachments(name, given))
    return Draft(name, pos, ids, deleted, members, to_json(members, name), attachments)


def check_id(name: Any) -> str:
    """
    *name*, which a document can be called.

    Raises:
        InvalidInput: No document can be called that.
    """
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"a document's id must be text, and not empty, found {name!r}"[:200])
    if name[0] == "_" and not name.startswith("_design/"):
        raise InvalidInput(f"{name!r}: ids that begin with an underscore are reserved"[:300])
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"the id {name!r} holds half a surrogate pair"[:200]) from None
    if len(name) > ID_LIMIT or "\0" in name:
        raise InvalidInput(f"the id {name[:40]!r}… is too long, or holds a NUL")
    return name


def to_json(value: Any, what: str) -> Body:
    """
    *value* as JSON: bytes, or text where numbers are larger than `from_json` reads from bytes.

    Raises:
        InvalidInput: It is not JSON, or too large.
    """
    body: bytes | str
    try:
        body = orjson.dumps(value, option=_PLAIN)
    except (TypeError, RecursionError) as error:
        if "64-bit" not in str(error):
            raise InvalidInput(f"{what!r} cannot be written as JSON: {error}"[:300]) from None
        body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(body) > BODY_LIMIT:
        raise TooLarge(
            f"{what[:200]!r} is larger than {BODY_LIMIT:,} bytes", hint="make it an attachment"
        )
    return body


def from_json(body: Body) -> Any:
    """What `to_json` wrote."""
    if isinstance(body, bytes):
        return orjson.loads(body)
    return json.loads(body) if body is not None else {}


def stub_of(attachment: Attachment, pos: int) -> dict[str, Any]:
    """What a document says of an attachment that came with its revision *pos*, or earlier."""
    return {
        "content_type": attachment.content_type,
        "revpos": attachment.revpos or pos,
        "digest": attachment.digest,
        "length": attachment.length,
        "stub": True,
    }


def digest_of(data: bytes) -> str:
    raw = md5(data, usedforsecurity=False).digest()
    return f"md5-{base64.b64encode(raw).decode()}"


def raw_digest(digest: str) -> bytes:
    return base64.b64decode(digest.removeprefix("md5-"))


def _members(doc: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(doc, Mapping):
        raise InvalidInput(f"a document must be a mapping, found {doc!r}"[:200])
    try:
        found = {name: value for name, value in doc.items() if name[:1] != "_"}
        if len(found) + _told_of(doc) != len(doc):
            for name in doc.keys() - found.keys() - _TOLD:
                raise InvalidInput(f"{doc.get('_id')!r}: members like {name!r} are reserved"[:300])
    except TypeError:
        raise InvalidInput(f"{doc.get('_id')!r}: a member's name must be text"[:300]) from None
    return found


def _told_of(doc: Mapping[str, Any]) -> int:
    return (
        ("_id" in doc)
        + ("_rev" in doc)
        + ("_deleted" in doc)
        + ("_revisions" in doc)
        + ("_attachments" in doc)
    )


def _history(found: Any, pos: int, hash_: str) -> list[str]:
    ids = found.get("ids") if isinstance(found, Mapping) else None
    if (
        not isinstance(ids, list)
        or found.get("start") != pos
        or not 0 < len(ids) <= min(pos, _MOST_IDS)
        or ids[0] != hash_
        or not all(isinstance(one, str) and one for one in ids)
    ):
        raise InvalidInput(f"{pos}-{hash_}: _revisions does not lead to it"[:300])
    return ids


def _attachments(doc_id: str, given: Any) -> Iterator[Attachment]:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{doc_id!r}: _attachments must be a mapping, found {given!r}"[:300])
    for name, told in given.items():
        where = f"{doc_id!r}: attachment {name!r}"[:200]
        if not isinstance(name, str) or name[:1] in {"", "_"}:
            raise InvalidInput(f"{where}: its name is empty, or begins with an underscore")
        if not isinstance(told, Mapping):
            raise InvalidInput(f"{where}: must be a mapping, found {told!r}"[:300])
        data = None if told.get("stub") or told.get("follows") else _data(told.get("data"), where)
        revpos = told.get("revpos")
        kind = _content_type(told.get("content_type"), where)
        digest = told.get("digest") if data is None else digest_of(data)
        length = told.get("length") if data is None else len(data)
        yield Attachment(
            name,
            kind,
            digest if isinstance(digest, str) else "",
            revpos if isinstance(revpos, int) and revpos > 0 else None,
            length if isinstance(length, int) else 0,
            data,
        )


def _content_type(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given:
        return _ANY_KIND
    if _holds_control(given):  # it becomes a line of a header wherever it is served
        raise InvalidInput(f"{where}: the content type {given[:60]!r} holds control characters")
    return given


def _data(given: Any, where: str) -> bytes:
    if isinstance(given, str):
        try:
            given = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput(f"{where}: the data is not base64") from None
    if not isinstance(given, bytes):
        raise InvalidInput(f"{where}: there is no data")
    if len(given) > ATTACHMENT_LIMIT:
        raise TooLarge(f"{where}: larger than {ATTACHMENT_LIMIT:,} bytes")
    return given


def _check_finite(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, float) and not math.isfinite(item):
            raise InvalidInput(f"{item} is not a finite number")
