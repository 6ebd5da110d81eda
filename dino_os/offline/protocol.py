"""
Which call is whose: the table of the CouchDB protocol's calls, over one store.

Serves the part that replication and a document client need.  There is one database; no views, no
server-side functions, nothing that deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from dino_os.offline import databases, documents, feeds
from dino_os.offline.wire import Answer, Call, refuse, told

if TYPE_CHECKING:
    from engines.latent_cache import DocumentStore

DATABASE = "cache"

Does = Callable[["DocumentStore", Call], Answer]
_Table = Mapping[str, Mapping[str, Does]]

_WHOLE: Mapping[str, Does] = {
    "GET": databases.info,
    "HEAD": databases.info,
    "PUT": databases.create,
    "POST": databases.add,
}
_BELOW: _Table = {
    "_all_docs": {"GET": databases.all_docs, "POST": databases.all_docs},
    "_bulk_docs": {"POST": databases.bulk_docs},
    "_bulk_get": {"POST": databases.bulk_get},
    "_changes": {"GET": feeds.normal, "POST": feeds.normal},
    "_ensure_full_commit": {"POST": databases.flushed},
    "_missing_revs": {"POST": databases.missing_revs},
    "_revs_diff": {"POST": databases.revs_diff},
}
_DOCUMENT: Mapping[str, Does] = {
    "GET": documents.read,
    "HEAD": documents.read,
    "PUT": documents.write,
    "DELETE": documents.remove,
}
_ATTACHMENT: Mapping[str, Does] = {
    "GET": documents.read_attachment,
    "HEAD": documents.read_attachment,
    "PUT": documents.write_attachment,
    "DELETE": documents.remove_attachment,
}
_LOCAL: Mapping[str, Does] = {
    "GET": documents.read_local,
    "HEAD": documents.read_local,
    "PUT": documents.write_local,
    "DELETE": documents.remove_local,
}
_WRITES = frozenset(
    {
        *(databases.add, databases.bulk_docs),
        *(documents.write, documents.remove, documents.write_attachment),
        *(documents.remove_attachment, documents.write_local, documents.remove_local),
    }
)


class Protocol:
    """
    Answers calls about *store*.

    Args:
        read_only: Refuse whatever would change it.
    """

    def __init__(self, store: DocumentStore, *, read_only: bool = False) -> None:
        self.store = store
        self._read_only = read_only

    def answer(self, call: Call) -> Answer:
        """
        Do what is asked for.

        Raises:
            Refused: It cannot be done.
        """
        with told():
            does = self._does(call)
            if self._read_only and does in _WRITES:
                refuse("this server is read-only", HTTPStatus.FORBIDDEN)
            return does(self.store, call)

    def _does(self, call: Call) -> Does:
        top, below = call.segments[:1], call.segments[1:]
        if top == (DATABASE,):
            table = _below(below)
        elif top in _TOP:
            table = _TOP[top]
        elif top[0].startswith("_"):
            refuse("no such call here", HTTPStatus.NOT_FOUND)
        elif call.method in {"GET", "HEAD"}:
            refuse("Database does not exist.", HTTPStatus.NOT_FOUND)
        else:
            refuse(f"the one database here is /{DATABASE}", HTTPStatus.FORBIDDEN)
        if call.method not in table:
            allowed = ",".join(table)
            refuse(f"Only {allowed} allowed", HTTPStatus.METHOD_NOT_ALLOWED)
        return table[call.method]


def _below(rest: tuple[str, ...]) -> Mapping[str, Does]:
    if not rest:
        return _WHOLE
    if rest[0] == "_local":
        return _LOCAL
    if rest[0] == "_design":
        return _DOCUMENT if len(rest) < len(("_design", "name", "attachment")) else _ATTACHMENT
    if rest[0].startswith("_"):
        if len(rest) > 1 or rest[0] not in _BELOW:
            refuse("no such call here", HTTPStatus.NOT_FOUND)
        return _BELOW[rest[0]]
    return _DOCUMENT if len(rest) == 1 else _ATTACHMENT


def _welcome(store: DocumentStore, call: Call) -> Answer:
    from dino_os import __version__  # noqa: PLC0415

    del call
    vendor = {"name": "Dino", "version": __version__}
    return Answer(
        {"couchdb": "Welcome", "version": __version__, "uuid": store.uuid, "vendor": vendor}
    )


def _session(store: DocumentStore, call: Call) -> Answer:
    """Whoever got as far as this has shown the password."""
    del store, call
    known = {"authenticated": "default", "authentication_handlers": ["default"]}
    return Answer({"ok": True, "userCtx": {"name": "dino", "roles": []}, "info": known})


def _databases(store: DocumentStore, call: Call) -> Answer:
    del store, call
    return Answer([DATABASE])


def _up(store: DocumentStore, call: Call) -> Answer:
    del store, call
    return Answer({"status": "ok"})


_TOP: Mapping[tuple[str, ...], Mapping[str, Does]] = {
    (): {"GET": _welcome, "HEAD": _welcome},
    ("_session",): {"GET": _session},
    ("_all_dbs",): {"GET": _databases},
    ("_up",): {"GET": _up},
}
