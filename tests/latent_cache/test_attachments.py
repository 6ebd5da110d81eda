"""Attachments of a document by themselves: put, taken off, listed."""

from __future__ import annotations

import pytest

from engines.errors import InvalidInput
from engines.latent_cache import ATTACHMENT_LIMIT, DocumentStore, Missing
from tests.latent_cache.conftest import Clock


def test_attachments_are_put_and_taken_off_and_the_document_stays(
    store: DocumentStore, clock: Clock
) -> None:
    """Its body, its other attachments, and its time; where there is none it is made."""
    store.put({"_id": "a", "n": 1}, ttl_s=60)
    store.attach("a", "x/y.txt", b"one", "text/plain")
    rev = store.attach("a", "z", b"two")
    doc = store.get("a")
    assert (doc["_rev"], doc["n"], sorted(doc["_attachments"])) == (rev, 1, ["x/y.txt", "z"])
    stub = doc["_attachments"]["x/y.txt"]
    assert (stub["content_type"], store.attachment(stub["digest"])) == ("text/plain", b"one")
    store.detach("a", "z")
    assert [*store.get("a")["_attachments"]] == ["x/y.txt"]
    assert store.attached() == {"a": store.get("a")["_attachments"]}
    store.detach("a", "x/y.txt")
    assert store.attached() == {}
    assert "_attachments" not in store.get("a")
    clock.now += 61
    with pytest.raises(Missing):
        store.get("a")
    for doc_id, name in (("a", "z"), ("nobody", "z")):
        with pytest.raises(Missing):
            store.detach(doc_id, name)
    store.attach("new", "z", b"two")
    assert store.members("new") == {}
    with pytest.raises(InvalidInput, match="larger"):
        store.attach("new", "z", b"x" * (ATTACHMENT_LIMIT + 1))
    for doc_id, name in (("_x", "z"), ("new", ""), ("new", "_x")):
        with pytest.raises(InvalidInput):
            store.attach(doc_id, name, b"")


@pytest.mark.parametrize("kind", ["text/x\r\nX: y", "text/x\n", "text\0"])
def test_a_kind_that_holds_control_characters_is_refused(store: DocumentStore, kind: str) -> None:
    """It becomes a line of a header wherever it is served."""
    with pytest.raises(InvalidInput, match=r"'x': the content type .* holds control characters"):
        store.attach("a", "x", b"", kind)
    assert store.info()["update_seq"] == 0
    store.attach("a", "x", b"", "läuft/ß→")
    assert store.attached()["a"]["x"]["content_type"] == "läuft/ß→"
