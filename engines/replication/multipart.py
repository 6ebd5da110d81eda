"""
Documents in MIME parts, as CouchDB answers `open_revs`: bytes stay bytes.

    multipart/mixed                        one part for each revision
    ├── application/json                   without attachments, or {"missing": rev} with error=true
    └── multipart/related                  with them
        ├── application/json               the document; of its attachments some "follow"
        └── …                              these, in their order, or by their file names

Source: RFC 2046, 5.1; docs.couchdb.org, "Getting multiple revisions"; `couch_doc.erl`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from engines.replication.coding import decode
from engines.replication.errors import PeerFault, PeerUnreachable
from engines.replication.model import PARCEL_BYTES

_PARAMETER = re.compile(r';\s*([\w*!#$&+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
Headers = dict[str, str]


def documents_of(body: bytes, kind: str) -> list[dict[str, Any]]:
    """
    The documents in *body*, with the bytes of attachments as `data`.

    Args:
        kind: Its content type, which names the boundary.

    Raises:
        PeerUnreachable: It is not all there.
        PeerFault: It is something else.
    """
    return [_document(headers, content) for headers, content in _parts(body, kind)]


def _document(headers: Headers, content: bytes) -> dict[str, Any]:
    kind = headers.get("content-type", "application/json")
    if not kind.startswith("multipart/"):
        return _json(content)
    parts = list(_parts(content, kind))
    if not parts:
        raise PeerFault("a part with attachments has no document")
    document = _json(parts[0][1])
    following = [name for name, told in _attachments(document).items() if told.get("follows")]
    for (told, data), name in zip(parts[1:], following, strict=False):
        attachment = document["_attachments"].get(_file_name(told) or name)
        if attachment is None or not attachment.pop("follows", None):
            raise PeerFault("a part belongs to no attachment of its document")
        attachment.pop("encoding", None)
        attachment.pop("encoded_length", None)
        unpacked = _unpacked(told, data)
        if unpacked is None:
            attachment["stub"] = True  # it is asked for by its name then, and read in pieces
        elif len(unpacked) != attachment.get("length", len(unpacked)):
            raise PeerUnreachable("an attachment is not as long as its document says")
        else:
            attachment["data"] = unpacked
    if any(told.get("follows") for told in _attachments(document).values()):
        raise PeerUnreachable("the peer's answer ends before its last attachment")
    return document


def _attachments(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document.get("_attachments", {})
    return found


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = decode(content)
    except ValueError:
        raise PeerFault("a part that should be JSON is none") from None
    if not isinstance(found, dict):
        raise PeerFault("a part that should be a document is none")
    return found


def _unpacked(headers: Headers, data: bytes) -> bytes | None:
    """The attachment; None where it unpacks to more than may be held along with others."""
    if headers.get("content-encoding") != "gzip":
        return data
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(data, PARCEL_BYTES + 1)
    except zlib.error:
        raise PeerFault("an attachment that should be packed with gzip is not") from None
    if len(found) > PARCEL_BYTES:
        return None
    if not unpacking.eof:
        raise PeerUnreachable("the peer's answer ends in the middle of an attachment")
    return found


def _file_name(headers: Headers) -> str | None:
    given = parameters(headers.get("content-disposition", ""))
    if "filename*" in given:  # RFC 8187: charset'language'percent-encoded
        return unquote(given["filename*"].split("'")[-1])
    return given.get("filename")


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header's value, as `boundary` of a content type."""
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PARAMETER.findall(header)
    }


def _parts(body: bytes, kind: str) -> Iterator[tuple[Headers, bytes]]:
    boundary = parameters(kind).get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise PeerFault("a multipart answer without a boundary")
    # Before the first one there may be nothing, not even the line's end.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004  before and after one
        raise PeerUnreachable("the peer's answer ends before its last part")
    for piece in pieces[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        yield _headers(head), content


def _headers(head: bytes) -> Headers:
    lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
