"""
Replication with a server of the CouchDB protocol, beside PouchDB's own replicator on the same one.

    python bench/replication.py [FOLDER]        FOLDER lies on the disk to measure; default: here

The server is PouchDB behind Express, in memory, as the tests have it.  Both replicators have their
side on the disk: ours SQLite with synchronous FULL and the journal that Dino always keeps, theirs
LevelDB as it comes; both take batches of the same size, from processes that are warm, in turns.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from side_by_side import timed, verdict

from engines.journal import Journal
from engines.latent_cache import DocumentStore
from engines.replication import LocalPeer, Options, RemotePeer, replicate, sync

HERE = Path(__file__).resolve().parent
COUCH = HERE.parent / "tests" / "interop" / "couch"
DOCS, WIDTH, BATCH = 10_000, 150, 1_000
ROUNDS, SMALL = 5, 15


def main() -> None:
    if not shutil.which("node") or not (COUCH / "node_modules").is_dir():
        print("replication   not measured: Node and its packages are not installed")
        return
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with (
        tempfile.TemporaryDirectory(dir=where) as folder,
        talking("node", COUCH / "server.js") as server,
        talking("node", HERE / "replication.js", COUCH / "node_modules", folder) as peer,
    ):
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        bench = Bench(Path(folder), url, peer)
        bench.fill()
        bench.throughput("push")
        bench.throughput("pull")
        bench.small()
        bench.here.close()


@contextmanager
def talking(*command: Any) -> Iterator[Any]:
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.stdin.close()  # that is how both are told to end
        process.wait(30)


class Bench:
    def __init__(self, folder: Path, url: str, peer: Any) -> None:
        self.folder, self.url, self.peer = folder, url, peer
        self.options = Options(batch_size=BATCH, batch_max=BATCH)
        self.numbers = iter(range(1_000_000))
        self.filled = self.database()

    def order(self, order: str, **given: Any) -> Any:
        self.peer.stdin.write(json.dumps({"order": order, **given}) + "\n")
        self.peer.stdin.flush()
        return json.loads(self.peer.stdout.readline())

    def database(self) -> str:
        """A new database of the server."""
        url = f"{self.url}/d{next(self.numbers)}"
        with urlopen(Request(url, method="PUT")):
            return url

    def store(self) -> DocumentStore:
        name = f"s{next(self.numbers)}"
        return DocumentStore(self.folder / f"{name}.db", Journal(self.folder / f"{name}.jsonl"))

    def fill(self) -> None:
        """The same documents here, there, and at the server."""
        self.here = self.store()
        docs = [{"_id": f"doc-{n:06d}", "n": n, "text": "x" * WIDTH} for n in range(DOCS)]
        for at in range(0, DOCS, BATCH):
            self.here.put_many(docs[at : at + BATCH])
            self.order("fill", name="there", first=at, count=BATCH, width=WIDTH)
        replicate(LocalPeer(self.here), RemotePeer(self.filled), self.options)

    def throughput(self, way: str) -> None:
        ours, theirs = [], []
        for _ in range(ROUNDS + 1):
            ours.append(self.our_turn(way))
            theirs.append(self.their_turn(way))
        our, their = (DOCS / statistics.median(taken[1:]) for taken in (ours, theirs))
        print(
            f"{way} of {DOCS:,} documents, batches of {BATCH:,}   dino {our:,.0f}/s, "
            f"PouchDB {their:,.0f}/s   {our / their:.2f} x   "
            f"{verdict(our / their, 1.5, at_least=True)}"
        )

    def our_turn(self, way: str) -> float:
        if way == "push":
            source, target = LocalPeer(self.here), RemotePeer(self.database())
            return replicate(source, target, self.options).seconds
        store = self.store()
        report = replicate(RemotePeer(self.filled), LocalPeer(store), self.options)
        assert report.docs_written == DOCS
        store.close()
        return report.seconds

    def their_turn(self, way: str) -> float:
        url = self.database() if way == "push" else self.filled
        name = "there" if way == "push" else f"n{next(self.numbers)}"
        found = self.order("replicate", name=name, url=url, way=way, batch=BATCH)
        assert found["written"] == DOCS
        return found["seconds"]

    def small(self) -> None:
        """Nothing to do, and one document, with all of it in place; both ways in one."""
        here, there = LocalPeer(self.here), RemotePeer(self.filled)
        sync(here, there, self.options)
        nothing = [timed(lambda: sync(here, there, self.options)) for _ in range(SMALL)]
        print(line("nothing to do, both ways", nothing, self.their_small(), 20))
        one = []
        for n in range(SMALL):
            self.here.put({"_id": f"new-{n}"})
            one.append(timed(lambda: replicate(here, there, self.options)))
        print(line("one document, pushed", one, self.their_small(one=True), 25))

    def their_small(self, *, one: bool = False) -> list[float]:
        taken = []
        for n in range(SMALL + 1):
            if one:
                self.order("put", name="there", id=f"theirs-{n}")
            given = {"name": "there", "url": self.filled, "batch": BATCH}
            ways = ["push"] if one else ["push", "pull"]
            found = [self.order("replicate", way=way, **given)["seconds"] for way in ways]
            taken.append(sum(found))
        return taken[1:]


def line(what: str, ours: list[float], theirs: list[float], most_ms: float) -> str:
    our, their = (statistics.median(taken) * 1000 for taken in (ours, theirs))
    return (
        f"{what}   dino {our:.1f} ms, PouchDB {their:.1f} ms   "
        f"{verdict(our, most_ms, at_least=False)}"
    )


if __name__ == "__main__":
    main()
