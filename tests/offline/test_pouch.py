"""A real PouchDB, in Node, against the protocol server: what a page in a browser does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.offline.conftest import Client

HERE = Path(__file__).parent
MODULES = REPOSITORY / "tests" / "interop" / "couch" / "node_modules"
pytestmark = [
    pytest.mark.skipif(not shutil.which("node"), reason="there is no Node"),
    pytest.mark.skipif(
        not (MODULES / "pouchdb").is_dir(),
        reason="PouchDB is not installed; tests/install-peers does that",
    ),
]


class Pouch:
    """A process with PouchDB; `remote` is the server's database, any other name one of its own."""

    def __init__(self, client: Client) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "pouch.js"), client.server.url, "dino", client.server.password],
            env={**os.environ, "NODE_PATH": str(MODULES)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def do(self, what: str, **order: Any) -> Any:
        found = self.ask(what, **order)
        assert "ok" in found, found
        return found["ok"]

    def replicate(self, source: str, target: str) -> Any:
        return self.do("replicate", **{"from": source, "to": target})

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def pouch(client: Client) -> Iterator[Pouch]:
    pouch = Pouch(client)
    yield pouch
    pouch.close()


def test_pouchdb_reads_and_writes_documents_and_attachments(pouch: Pouch, client: Client) -> None:
    made = pouch.do("put", on="remote", doc={"_id": "a/b ü", "n": 1})
    assert pouch.do("get", on="remote", id="a/b ü", options={"revs": True})["n"] == 1
    data = base64.b64encode(bytes(range(256))).decode()
    attached = pouch.do("attach", on="remote", id="a/b ü", name="x/y", rev=made["rev"], data=data, type="image/x")  # fmt: skip
    assert pouch.do("attachment", on="remote", id="a/b ü", name="x/y") == data
    whole = pouch.do("get", on="remote", id="a/b ü", options={"attachments": True})
    assert whole["_attachments"]["x/y"]["data"] == data
    assert client.store.get("a/b ü")["_rev"] == attached["rev"]
    conflict = pouch.ask("put", on="remote", doc={"_id": "a/b ü", "n": 2})
    assert (conflict["status"], conflict["error"]) == (409, "conflict")
    pouch.do("remove", on="remote", id="a/b ü", rev=attached["rev"])
    assert pouch.ask("get", on="remote", id="a/b ü")["status"] == 404


def test_pouchdb_replicates_both_ways_and_both_have_the_same(pouch: Pouch, client: Client) -> None:
    """Conflicts, deletions and attachments with it; the second time there is nothing to do."""
    attached = {"x": {"content_type": "text/plain", "data": base64.b64encode(b"tide").decode()}}
    client.store.put({"_id": "both", "n": 1})
    client.store.put({"_id": "ours", "_attachments": attached})
    gone = client.store.put({"_id": "gone"})
    client.store.remove("gone", gone)
    docs = [{"_id": f"d{n}", "n": n} for n in range(300)]
    pouch.do("bulk", on="page", docs=[{"_id": "both", "n": 2}, {"_id": "_design/x"}, *docs])
    there = pouch.replicate("page", "remote")
    back = pouch.replicate("remote", "page")
    assert (there["ok"], there["written"], there["errors"]) == (True, 302, 0)
    assert back["ok"]
    assert pouch.replicate("page", "remote")["written"] == 0
    assert pouch.replicate("remote", "page")["written"] == 0
    leaves = pouch.do("leaves", on="page")
    assert leaves == {c.id: sorted(c.revs) for c in client.store.changes()}
    assert len(leaves["both"]) == 2
    assert pouch.do("get", on="page", id="both")["_rev"] == client.store.get("both")["_rev"]
    assert base64.b64decode(pouch.do("attachment", on="page", id="ours", name="x")) == b"tide"


def test_pouchdb_lists_and_follows(pouch: Pouch, client: Client) -> None:
    client.store.put_many([{"_id": name, "n": 1} for name in "abcd"])

    def ids(**options: Any) -> list[str]:
        return [row["id"] for row in pouch.do("all", on="remote", options=options)["rows"]]

    assert ids(startkey="b", endkey="d", inclusive_end=False) == ["b", "c"]
    assert ids(descending=True, limit=2, skip=1) == ["c", "b"]
    named = pouch.do("all", on="remote", options={"keys": ["c", "z"], "include_docs": True})["rows"]
    assert (named[0]["doc"]["n"], named[1]["error"]) == (1, "not_found")
    found = pouch.do("changes", on="remote", options={"doc_ids": ["c"], "include_docs": True})
    assert [(row["id"], row["doc"]["n"]) for row in found["results"]] == [("c", 1)]
    assert len(pouch.do("changes", on="remote", options={"since": 1, "limit": 2})["results"]) == 2


def test_a_live_sync_carries_what_is_written_on_either_side(pouch: Pouch, client: Client) -> None:
    pouch.do("live", on="page", name="s")
    client.store.put({"_id": "ours", "n": 1})
    assert pouch.do("until", on="page", id="ours", has={"n": 1})
    pouch.do("put", on="page", doc={"_id": "theirs", "n": 2})
    assert pouch.do("until", on="remote", id="theirs", has={"n": 2})
    assert client.store.get("theirs")["n"] == 2
    pouch.do("stop", name="s")
