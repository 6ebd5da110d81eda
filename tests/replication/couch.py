"""
A server of the CouchDB protocol for tests: CouchDB 3's ways, over document stores.

Sequences are opaque texts, attachments come in MIME parts, `_revs_diff` names possible ancestors;
what a server may lack can be taken away, and users, refusals and limits can be set.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from engines.latent_cache import DocumentStore
from engines.replication import matcher

Reply = tuple[int, Any]
"""Status, and what is said in JSON; or a `Raw`."""


class Raw(NamedTuple):
    kind: str
    body: bytes


@dataclass
class Couch:
    """
    What it has, and how it is.

    Attributes:
        asked: Every request, as "METHOD /path" without the database and the parameters.
        lacks: Paths that it does not know, as "_bulk_get".
        parts: Whether attachments come in MIME parts where that is accepted.
        users: Name → password; empty lets everybody in.
        tokens: Bearer tokens that it takes.
        refuse: What it says of a document that it does not take; None takes it.
        breaks: Whether it answers 500 to that request: "METHOD /path" without the database, and
            what was sent.
        limit: Bytes of a request.
        heartbeats: Whether somebody who waits is told that it lives.
    """

    folder: Path
    url: str = ""
    databases: dict[str, DocumentStore] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    lacks: set[str] = field(default_factory=set)
    parts: bool = True
    users: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    read_only: bool = False
    refuse: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _doc: None
    filters: dict[str, Callable[[dict[str, Any], dict[str, str]], bool]] = field(
        default_factory=dict
    )
    breaks: Callable[[str, bytes], bool] = lambda _what, _body: False
    limit: int = 1 << 30
    heartbeats: bool = True
    closing: threading.Event = field(default_factory=threading.Event)

    def database(self, name: str = "db") -> DocumentStore:
        if name not in self.databases:
            self.databases[name] = DocumentStore(self.folder / f"{name}.db")
        return self.databases[name]

    def count(self, what: str) -> int:
        """How many requests there were whose text holds *what*."""
        return sum(what in one for one in self.asked)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    closing = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away, or a database that was closed below who waited for its news.
        if not (self.closing or isinstance(sys.exc_info()[1], OSError | HTTPException)):
            super().handle_error(request, client_address)


@contextmanager
def running(folder: Path, tls: SSLContext | None = None) -> Iterator[Couch]:
    """A server at `url`, for as long as this lasts."""
    couch = Couch(folder)

    class Bound(Handler):
        pass

    Bound.couch = couch
    server = Server(("127.0.0.1", 0), Bound)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    couch.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield couch
    finally:
        couch.closing.set()
        server.closing = True
        server.shutdown()
        server.server_close()
        for store in couch.databases.values():
            store.close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    couch: Couch
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.extra: dict[str, str] = {}
        database, _, rest = parts.path.strip("/").partition("/")
        self.couch.asked.append(f"{self.command} /{unquote(rest)}")
        self.couch.queries.append(self.query)
        if self.couch.breaks(self.couch.asked[-1], self.body):
            self.send(500, {"error": "badmatch", "reason": "a block of the disk"})
            return
        reply = self.reply_of(database, [unquote(part) for part in rest.split("/")] if rest else [])
        if reply is not None:
            self.send(*reply)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def reply_of(self, database: str, path: list[str]) -> Reply | None:
        if database == "_session":
            return self.log_in()
        if not self.allowed():
            return 401, {"error": "unauthorized", "reason": "You are not a server admin."}
        if not path and self.command == "PUT":
            return self.create(database)
        if database not in self.couch.databases:
            return 404, {"error": "not_found", "reason": "Database does not exist."}
        if len(self.body) > self.couch.limit:
            return 413, {"error": "too_large", "reason": "the request entity is too large"}
        self.store = self.couch.databases[database]
        return self.of_database(path)

    def of_database(self, path: list[str]) -> Reply | None:
        what = path[0] if path else ""
        if what in self.couch.lacks:
            return 405, {"error": "method_not_allowed", "reason": "Only GET allowed"}
        if what == "_local":
            return self.local("/".join(path[1:]))
        if not what.startswith("_") or what == "_design":
            return self.document(path) if what else self.info()
        return KNOWN[what](self)

    # --- who, and whether it is there ----------------------------------------------------------

    def allowed(self) -> bool:
        couch, told = self.couch, self.headers.get("Authorization", "")
        if not couch.users and not couch.tokens:
            return True
        if told.startswith("Basic "):
            name, _, password = b64decode(told[6:]).decode().partition(":")
            return couch.users.get(name) == password
        cookie = self.headers.get("Cookie", "")
        return told.removeprefix("Bearer ") in couch.tokens or cookie in couch.tokens

    def log_in(self) -> Reply:
        told = json.loads(self.body)
        if self.couch.users.get(told["name"]) != told["password"]:
            return 401, {"error": "unauthorized", "reason": f"wrong: {told['password']}"}
        cookie = f"AuthSession={len(self.couch.asked)}"
        self.couch.tokens.add(cookie)
        self.extra["Set-Cookie"] = f"{cookie}; Version=1; Path=/; HttpOnly"
        return 200, {"ok": True}

    def create(self, name: str) -> Reply:
        if name in self.couch.databases:
            return 412, {"error": "file_exists", "reason": "The database could not be created."}
        self.couch.database(name)
        return 201, {"ok": True}

    def info(self) -> Reply:
        told = self.store.info()
        seq = opaque(told["update_seq"])
        # As CouchDB tells a database from one that was made under the same name before.
        return 200, {
            **told,
            "db_name": "db",
            "update_seq": seq,
            "instance_start_time": self.store.uuid,
        }

    # --- changes -------------------------------------------------------------------------------

    def changes(self) -> Reply | None:
        since = int(self.query.get("since", "0").partition("-")[0])
        limit = int(self.query.get("limit", "1000000"))
        told = json.loads(self.body) if self.body else {}
        if self.query.get("feed") == "longpoll" and not self.rows(since, limit, told)[0]:
            self.wait(since, limit, told)
            return None
        rows, last = self.rows(since, limit, told)
        return 200, {"results": rows, "last_seq": opaque(last), "pending": 0}

    def rows(self, since: int, limit: int, told: dict[str, Any]) -> tuple[list[Any], int]:
        head = self.store.info()["update_seq"]
        found = self.store.changes(since, doc_ids=told.get("doc_ids"))
        keep: Callable[[Any], bool] = lambda doc: True  # noqa: E731
        if "selector" in told:
            keep = matcher(told["selector"])
        elif name := self.query.get("filter", "").removeprefix("_doc_ids"):
            keep = lambda doc: self.couch.filters[name](doc, self.query)  # noqa: E731
        rows = []
        for change in found:
            docs = self.store.read_revisions([(change.id, rev) for rev in change.revs])
            if kept := [{"rev": doc["_rev"]} for doc in docs if keep(doc)]:
                rows.append({"seq": opaque(change.seq), "id": change.id, "changes": kept})
                if self.query.get("include_docs") == "true":
                    winner = {n: v for n, v in docs[0].items() if n != "_revisions"}
                    rows[-1]["doc"] = winner
            if len(rows) == limit:
                return rows, change.seq
        return rows, max(head, since)

    def wait(self, since: int, limit: int, told: dict[str, Any]) -> None:
        """Say that it lives for as long as nothing happens."""
        beat = int(self.query["heartbeat"]) / 1000
        self.begin_chunks()
        while not self.couch.closing.is_set():
            if self.store.wait(since, beat):
                rows, last = self.rows(since, limit, told)
                if rows:
                    self.chunk(json.dumps({"results": rows, "last_seq": opaque(last)}).encode())
                    self.chunk(b"")
                    return
            if self.couch.heartbeats:
                self.chunk(b"\n")

    def begin_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    # --- documents -----------------------------------------------------------------------------

    def revs_diff(self) -> Reply:
        return 200, self.store.revs_diff(json.loads(self.body))

    def bulk_docs(self) -> Reply:
        told = json.loads(self.body)
        assert told["new_edits"] is False
        assert all("_revisions" in doc for doc in told["docs"])
        if self.couch.read_only:
            return READ_ONLY
        refused = {doc["_id"]: said for doc in told["docs"] if (said := self.couch.refuse(doc))}
        failed = self.store.write_revisions([d for d in told["docs"] if d["_id"] not in refused])
        return 201, [{"id": name, **said} for name, said in refused.items()] + failed

    def bulk_get(self) -> Reply:
        results = []
        with_data = self.query.get("attachments") == "true"
        for one in json.loads(self.body)["docs"]:
            told = {"id": one["id"], "rev": one["rev"], "error": "not_found", "reason": "missing"}
            found = self.opened(one["id"], [one["rev"]], attachments=with_data)
            docs = [{"error": told} if "missing" in doc else {"ok": doc} for doc in found]
            results.append({"id": one["id"], "docs": docs})
        return 200, {"results": results}

    def commit(self) -> Reply:
        return 201, {"ok": True}

    def opened(self, doc_id: str, revs: list[str], *, attachments: bool) -> list[dict[str, Any]]:
        latest = self.query.get("latest") == "true"
        return list(self.store.open_revs(doc_id, revs, latest=latest, attachments=attachments))

    def document(self, path: list[str]) -> Reply:
        length = 2 if path[0] == "_design" else 1
        name, attachment = "/".join(path[:length]), "/".join(path[length:])
        if "open_revs" in self.query:
            return self.open_revs(name, json.loads(self.query["open_revs"]))
        if not attachment:
            return 200, self.store.get(name)
        (doc,) = self.store.open_revs(name, [self.query["rev"]])
        told = doc.get("_attachments", {}).get(attachment)
        if told is None:
            return 404, {"error": "not_found", "reason": "Document is missing attachment"}
        return 200, Raw(told["content_type"], b64decode(told["data"]))

    def open_revs(self, name: str, revs: list[str]) -> Reply:
        if self.couch.parts and "multipart" in self.headers.get("Accept", ""):
            docs = self.opened(name, revs, attachments=True)
            return 200, Raw('multipart/mixed; boundary="outer"', mixed(docs))
        docs = self.opened(name, revs, attachments=self.query.get("attachments") == "true")
        return 200, [doc if "missing" in doc else {"ok": doc} for doc in docs]

    def local(self, name: str) -> Reply:
        found = self.store.get_local(name)
        if self.command == "GET":
            return (200, found) if found else (404, {"error": "not_found", "reason": "missing"})
        if self.couch.read_only:
            return READ_ONLY
        told = json.loads(self.body)
        if (found or {}).get("_rev") != told.get("_rev"):
            return 409, {"error": "conflict", "reason": "Document update conflict."}
        return 201, {"ok": True, "id": f"_local/{name}", "rev": self.store.put_local(name, told)}

    def send(self, status: int, said: Any) -> None:
        if not isinstance(said, Raw):
            said = Raw("application/json", json.dumps(said).encode() + b"\n")
        self.send_response(status)
        self.send_header("Content-Type", said.kind)
        self.send_header("Content-Length", str(len(said.body)))
        for name, value in self.extra.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)
        self.wfile.flush()


READ_ONLY: Reply = (403, {"error": "forbidden", "reason": "read only"})
KNOWN: dict[str, Callable[[Handler], Reply | None]] = {
    "_changes": Handler.changes,
    "_revs_diff": Handler.revs_diff,
    "_bulk_docs": Handler.bulk_docs,
    "_bulk_get": Handler.bulk_get,
    "_ensure_full_commit": Handler.commit,
}


def opaque(seq: int) -> str:
    """A sequence as CouchDB writes them: nobody else can read it."""
    return f"{seq}-{b64encode(str(seq).encode()).decode().strip('=')}"


def mixed(docs: list[dict[str, Any]]) -> bytes:
    """Revisions as MIME parts, attachments as parts of these."""
    parts = []
    for doc in docs:
        if "missing" in doc:
            kind, content = 'application/json; error="true"', json.dumps(doc).encode()
        elif "_attachments" in doc:
            kind, content = 'multipart/related; boundary="inner"', related(doc)
        else:
            kind, content = "application/json", json.dumps(doc).encode()
        parts.append(b"\r\nContent-Type: %b\r\n\r\n%b" % (kind.encode(), content))
    return b"--outer" + b"\r\n--outer".join(parts) + b"\r\n--outer--"


def related(doc: dict[str, Any]) -> bytes:
    parts = []
    for name, told in doc["_attachments"].items():
        data = b64decode(told.pop("data"))
        told |= {"follows": True, "length": len(data)}
        head = f'Content-Disposition: attachment; filename="{name}"\r\nContent-Length: {len(data)}'
        parts.append(b"\r\n%b\r\n\r\n%b" % (head.encode(), data))
    first = b"\r\nContent-Type: application/json\r\n\r\n" + json.dumps(doc).encode()
    return b"--inner" + b"\r\n--inner".join([first, *parts]) + b"\r\n--inner--"


def paths(asked: list[str]) -> list[str]:
    """The requests without the ids in them."""
    return [re.sub(r"_local/\w+", "_local", one) for one in asked]
