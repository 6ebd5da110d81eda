"""A document store, and the protocol server over it."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dino_os.offline.server import Options, ProtocolServer, served
from engines.latent_cache import DocumentStore

PASSWORD = "pass:word ü"


@dataclass
class Client:
    """Asks a protocol server."""

    server: ProtocolServer
    store: DocumentStore

    @property
    def headers(self) -> dict[str, str]:
        pair = base64.b64encode(f"dino:{self.server.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)

    def raw(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connect()
        try:
            sent = {**self.headers, **{n.replace("_", "-"): v for n, v in headers.items()}}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content
        finally:
            connection.close()

    def ask(self, method: str, path: str, document: Any = None) -> tuple[int, Any]:
        body = None if document is None else json.dumps(document).encode()
        status, _, content = self.raw(method, f"/cache{path}", body)
        return status, json.loads(content) if content else None

    def ok(self, method: str, path: str, document: Any = None) -> Any:
        status, found = self.ask(method, path, document)
        assert status in {200, 201}, (status, found)
        return found


@pytest.fixture(autouse=True)
def _keys_of_ours(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault's keys go where no key of whoever runs the tests lies, in all processes."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    with DocumentStore(tmp_path / "documents.db") as store:
        yield store


@pytest.fixture
def client(store: DocumentStore) -> Iterator[Client]:
    with served(store, Options(password=PASSWORD)) as server:
        assert urlsplit(server.url).hostname == "127.0.0.1"
        yield Client(server, store)


@pytest.fixture
def read_only(store: DocumentStore) -> Iterator[Client]:
    options = Options(password=PASSWORD, read_only=True, origins=("https://app.site",))
    with served(store, options) as server:
        yield Client(server, store)
