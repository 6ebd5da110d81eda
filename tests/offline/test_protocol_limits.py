"""What is too large for the protocol server, or of a kind that it does not take."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.offline.conftest import Client


@pytest.mark.parametrize("kind", ["text/plain", "läuft/ß→", "", "text"])
def test_an_attachment_may_be_called_anything(client: Client, kind: str) -> None:
    """By whoever wrote it; what is none is sent as bytes, and nothing is added to what is one."""
    told = {"content_type": kind, "data": "aGVsbG8="}
    client.ok("PUT", "/a", {"_attachments": {"x": told}})
    status, headers, body = client.raw("GET", "/cache/a/x")
    shown = kind if kind == "text/plain" else "application/octet-stream"
    assert (status, headers["content-type"], body) == (200, shown, b"hello")
    assert "x" not in headers


@pytest.mark.parametrize("kind", ["text/x\r\nX: y", "text/x\0", "text\x7f/x", "a\x85b"])
def test_a_kind_that_would_not_fit_into_a_header_is_refused(client: Client, kind: str) -> None:
    told = {"_attachments": {"x": {"content_type": kind, "data": "aGVsbG8="}}}
    status, found = client.ask("PUT", "/a", told)
    assert (status, found["error"]) == (400, "bad_request")
    assert "control characters" in found["reason"]
    told |= {"_id": "a", "_rev": "1-a"}
    (row,) = client.ok("POST", "/_bulk_docs", {"docs": [told], "new_edits": False})
    assert (row["id"], row["error"]) == ("a", "bad_request")
    assert client.ok("GET", "")["update_seq"] == 0


def test_what_is_larger_than_a_document_can_be_is_told_so(client: Client) -> None:
    """A body, an attachment, a local document, and one among others."""
    large = {"text": "x" * 2**23}
    attached = {"_attachments": {"x": {"data": base64.b64encode(b"x" * (2**23 + 1)).decode()}}}
    for method, path, document in (
        ("PUT", "/a", large),
        ("POST", "", large),
        ("PUT", "/_local/a", large),
        ("PUT", "/a", attached),
    ):
        status, found = client.ask(method, path, document)
        assert (status, found["error"]) == (413, "too_large")
        assert "8,388,608 bytes" in found["reason"]
    assert client.raw("PUT", "/cache/a/x", b"x" * (2**23 + 1))[0] == 413
    done = client.ok("POST", "/_bulk_docs", {"docs": [{"_id": "b"}, {"_id": "c", **large}]})
    assert [one.get("error") for one in done] == [None, "too_large"]
    made = {"_id": "d", "_rev": "1-a", **large}
    (row,) = client.ok("POST", "/_bulk_docs", {"docs": [made], "new_edits": False})
    assert (row["id"], row["error"]) == ("d", "too_large")
    assert client.ask("PUT", "/d?new_edits=false", made)[0] == 413
    assert client.ok("GET", "")["doc_count"] == 1


def test_a_body_of_another_kind_or_of_no_end_is_refused(client: Client) -> None:
    assert client.raw("PUT", "/cache/a", b"{}", Content_Type="text/plain")[0] == 415
    assert client.raw("PUT", "/cache/a", None, Content_Length=str(2**40))[0] == 413

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 2**20

    connection = client.connect()
    with pytest.raises(ConnectionError):  # it answers, and hangs up
        connection.request("PUT", "/cache/a", endless(), client.headers, encode_chunked=True)
    connection.close()
    assert client.ok("GET", "")["doc_count"] == 0
