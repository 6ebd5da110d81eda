"""
What a cache says no to.

CacheError                     the store cannot be opened, read or written     exit 1
Conflict                       an edit of what is no leaf any more             exit 1
Missing (a NotFound)           no such document, or it was deleted             exit 2
MissingStub (an InvalidInput)  an attachment that is only named is not here    exit 2
TooLarge (an InvalidInput)     a document or attachment above its limit        exit 2
"""

from __future__ import annotations

from engines.errors import DinoError, InvalidInput, NotFound


class CacheError(DinoError):
    """The store cannot be opened, read or written."""


class Conflict(DinoError):
    """The document was edited by somebody else since: read it again, and edit that."""

    def __init__(self, doc_id: str, rev: str | None) -> None:
        self.id, self.rev = doc_id, rev
        why = f"{rev} is no leaf of it" if rev else "it is there, and no revision was named"
        super().__init__(f"{doc_id!r}: {why}", hint="read it again, and edit what it is now")


class Missing(NotFound):
    """
    There is no such document or revision here.

    Attributes:
        deleted: Whether there was one, which was deleted.
    """

    def __init__(self, doc_id: str, *, rev: str | None = None, deleted: bool = False) -> None:
        self.id, self.rev, self.deleted = doc_id, rev, deleted
        what = f"no revision {rev} of {doc_id!r}" if rev else f"no document {doc_id!r}"
        super().__init__(f"{what}: it was deleted" if deleted else what)


class MissingStub(InvalidInput):
    """A document names an attachment without its bytes, and they are not here."""


class TooLarge(InvalidInput):
    """A document's body or an attachment is larger than the store takes."""
