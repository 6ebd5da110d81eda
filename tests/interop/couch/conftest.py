"""PouchDB behind Express, as a process: one for a worker, and a database of it for each test."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from engines.latent_cache import DocumentStore
from engines.replication import Http, LocalPeer, Options, RemotePeer, Report, replicate

HERE = Path(__file__).resolve().parent
NUMBERS = itertools.count()


@dataclass
class Server:
    """The process, and where it listens; with a folder it can be killed and started again."""

    folder: Path | None = None
    port: int = 0
    process: Any = None

    def start(self) -> None:
        command = ["node", HERE / "server.js", self.folder or "", str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def database(self) -> Database:
        """A new one."""
        found = Database(f"http://127.0.0.1:{self.port}/d{next(NUMBERS)}")
        found.ask("PUT", "")
        return found


@dataclass
class Database:
    """A database of the server, by plain requests."""

    url: str

    def ask(self, method: str, path: str, value: Any = None, *, code: int | None = None) -> Any:
        data = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            with urlopen(Request(self.url + path, data, headers, method=method)) as response:
                return json.load(response)
        except HTTPError as error:
            if error.code != code:
                raise
            return json.load(error)

    def put(self, name: str, **members: Any) -> str:
        """An edit of the document, whatever it is now."""
        now = self.ask("GET", f"/{quote(name, safe='')}", code=404)
        given = {"_rev": now["_rev"]} if "_rev" in now else {}
        return str(self.ask("PUT", f"/{quote(name, safe='')}", {**given, **members})["rev"])

    def write(self, revisions: list[Any]) -> None:
        assert self.ask("POST", "/_bulk_docs", {"docs": revisions, "new_edits": False}) == []

    def leaves(self) -> dict[str, set[str]]:
        rows = self.ask("GET", "/_changes?style=all_docs")["results"]
        return {row["id"]: {change["rev"] for change in row["changes"]} for row in rows}

    def winners(self) -> dict[str, str]:
        rows = self.ask("GET", "/_changes")["results"]
        return {row["id"]: row["changes"][0]["rev"] for row in rows}

    def bodies(self) -> dict[tuple[str, str], Any]:
        """Every leaf as it is, with its history and its attachments."""
        asked = [{"id": name, "rev": rev} for name, revs in self.leaves().items() for rev in revs]
        path = "/_bulk_get?revs=true&attachments=true"
        rows = self.ask("POST", path, {"docs": asked})["results"]
        return {(d["_id"], d["_rev"]): _told(d) for row in rows for d in [row["docs"][0]["ok"]]}


def _told(doc: dict[str, Any]) -> dict[str, Any]:
    for told in doc.get("_attachments", {}).values():
        told.pop("revpos", None)
    return doc


@dataclass
class Both:
    """A store of ours and a database of the server's."""

    here: DocumentStore
    there: Database

    def peers(self, way: str, url: str = "") -> tuple[Any, Any]:
        http = Http(connect_s=2, silence_s=10)
        pair = LocalPeer(self.here), RemotePeer(url or self.there.url, http=http)
        return pair if way == "push" else (pair[1], pair[0])

    def go(self, way: str, url: str = "", **options: Any) -> Report:
        quick = lambda _s: None  # noqa: E731
        return replicate(*self.peers(way, url), Options(**options), pause=quick)

    def sync(self) -> None:
        for way in ("push", "pull"):
            assert self.go(way).ok

    def same(self) -> bool:
        """The same leaves, winners and bodies on both sides."""
        changes = self.here.changes()
        assert {c.id: set(c.revs) for c in changes} == self.there.leaves()
        assert {c.id: c.revs[0] for c in changes} == self.there.winners()
        ours = {
            (doc["_id"], doc["_rev"]): _told(doc)
            for change in changes
            for doc in self.here.open_revs(change.id, None)
        }
        assert ours == self.there.bodies()
        return True


@contextmanager
def a_server(folder: Path | None = None) -> Iterator[Server]:
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def modules() -> None:
    if not shutil.which("node"):
        pytest.skip("needs Node, to replicate with PouchDB")
    if not (HERE / "node_modules" / "express-pouchdb").is_dir():
        pytest.skip("needs PouchDB: run tests/install-peers")


@pytest.fixture(scope="session")
def server(modules: None) -> Iterator[Server]:
    """In memory."""
    with a_server() as server:
        yield server


@pytest.fixture
def lasting(modules: None, tmp_path: Path) -> Iterator[Server]:
    """One that keeps what it has in a folder."""
    (tmp_path / "server").mkdir()
    with a_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def both(server: Server, tmp_path: Path) -> Iterator[Both]:
    with DocumentStore(tmp_path / "here.db") as here:
        yield Both(here, server.database())


@pytest.fixture(params=["push", "pull"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)
