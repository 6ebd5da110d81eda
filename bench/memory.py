"""
The memory beside Chroma: the same vectors, the same queries, one after the other in one run.

    python bench/memory.py [FOLDER]        FOLDER lies on the disk to measure; default: here
    CHROMA_PYTHON=…/bin/python python bench/memory.py        where Chroma has another environment

The vectors lie in clusters (2,000 in a space of 48 dimensions, with noise), as those of texts do;
the truth is a product of matrices.  Both sides have a vector, a key and a short text each.  Ours is
durable when a batch returns, and recorded in the journal.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import timed, verdict

from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal

COUNT, DIM, QUERIES = 100_000, 384, 500
BATCH = 5_000
ADDS = 1_000
HERE = Path(__file__).resolve().parent


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        vectors, queries, truth = material()
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        store, inserted = filled(folder, vectors)
        peer = chroma(folder)
        rate = COUNT / inserted
        told = f"insert   dino {rate:,.0f}/s"
        if peer:
            ratio = peer["insert_s"] / inserted
            told += f", Chroma {COUNT / peer['insert_s']:,.0f}/s   {ratio:.1f} x   "
            told += verdict(ratio, 5, at_least=True)
        print(told)
        searches(store, queries, truth, peer)
        opening(store)
        words(folder)
        one_by_one(folder)


def material() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((2_000, 48), dtype=np.float32)
    wide = rng.standard_normal((48, DIM), dtype=np.float32)

    def some(count: int) -> Any:
        latent = centres[rng.integers(0, len(centres), count)]
        latent = latent + 0.35 * rng.standard_normal(latent.shape, dtype=np.float32)
        found = latent @ wide + 0.5 * rng.standard_normal((count, DIM), dtype=np.float32)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    vectors, queries = some(COUNT), some(QUERIES)
    cosines = queries @ vectors.T
    return vectors, queries, np.argsort(-cosines, axis=1, kind="stable")[:, :10]


def store_in(folder: Path, name: str, **settings: Any) -> MemoryStore:
    return MemoryStore(folder / f"{name}.db", Journal(folder / f"{name}_log.jsonl"), **settings)


def filled(folder: Path, vectors: Any) -> tuple[MemoryStore, float]:
    store = store_in(folder, "memory", approximate=True)
    began = time.perf_counter()
    for at in range(0, COUNT, BATCH):
        some = [
            {"key": f"key-{n}", "value": f"note key-{n}", "vector": vectors[n]}
            for n in range(at, at + BATCH)
        ]
        store.add_many(some)
    return store, time.perf_counter() - began


def chroma(folder: Path) -> dict[str, Any] | None:
    python = os.environ.get("CHROMA_PYTHON", sys.executable)
    asked = subprocess.run([python, "-c", "import chromadb"], check=False, capture_output=True)
    if asked.returncode:
        print("Chroma is not installed: its figures are left out")
        return None
    command = [python, str(HERE / "memory_peer.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def searches(store: MemoryStore, queries: Any, truth: Any, peer: dict[str, Any] | None) -> None:
    def search(query: Any) -> list[int]:
        found = store.search("", 10, vector=query, mode="meaning")
        return [int(one["key"].removeprefix("key-")) for one in found]

    first = timed(lambda: search(queries[0]))
    taken, found = each(search, queries)
    line("exact search", taken, recall(found, truth))
    good = verdict(middle(taken), 10, at_least=False)
    print(f"   {good}; the first one, cold, {first * 1000:.0f} ms")
    built = timed(store.reindex)
    search(queries[0])
    taken, found = each(search, queries)
    line("approximate search", taken, recall(found, truth))
    index = store.stats()["index"]
    each_vector = f"{index['bytes_per_vector']:,.0f} bytes a vector on disk, mapped"
    print(f"   built in {built:.1f} s; {each_vector}; {index['bytes_in_memory']:,} in memory")
    if peer:
        line("Chroma", peer["search_s"], recall(peer["found"], truth))
        for what, part in (("p50", 0.5), ("p99", 0.99)):
            ratio = at(peer["search_s"], part) / at(taken, part)
            print(f"   {what}: {ratio:.2f} x faster   {verdict(ratio, 1, at_least=True)}")


def opening(store: MemoryStore) -> None:
    """A process of its own: from the file to the first value."""
    path = store.path
    store.close()
    code = (
        "import sys, time; from pathlib import Path; from engines.journal import Journal; "
        "from dino_os.memory_layer.store import MemoryStore; path = Path(sys.argv[1]); "
        "began = time.perf_counter(); "
        "store = MemoryStore(path, Journal(path.with_name('memory_log.jsonl'))); "
        "assert store.get('key-77777') == 'note key-77777'; print(time.perf_counter() - began)"
    )
    taken = []
    for _ in range(7):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            capture_output=True, text=True, check=True, cwd=HERE.parent,
        )  # fmt: skip
        taken.append(float(done.stdout))
    ms = statistics.median(taken) * 1000
    print(
        f"open a store of {COUNT:,}, first value   {ms:.1f} ms   {verdict(ms, 50, at_least=False)}"
    )


def words(folder: Path) -> None:
    """Documents with words as often as those of a language; queries of two to five words."""
    rng = np.random.default_rng(11)
    names = [f"w{n:05x}" for n in range(50_000)]
    ranks = 1.0 / np.arange(1, len(names) + 1) ** 1.07
    odds = ranks / ranks.sum()
    store = store_in(folder, "words")
    drawn = rng.choice(len(names), (COUNT, 40), p=odds)
    for at_ in range(0, COUNT, BATCH):
        store.add_many(
            [
                {"key": f"d{n}", "value": " ".join(names[i] for i in drawn[n]), "embed": False}
                for n in range(at_, at_ + BATCH)
            ]
        )
    queries = []
    for n in range(QUERIES):  # words of one document, as somebody asks who knows what is there
        some = rng.choice(drawn[rng.integers(COUNT)], 2 + n % 4, replace=False)
        queries.append(" ".join(names[i] for i in some))
    taken, _ = each(lambda query: store.search(query, 10, mode="text"), queries)
    line(f"words, {COUNT:,} documents", taken)
    print(f"   {verdict(middle(taken), 5, at_least=False)}")
    store.close()


def one_by_one(folder: Path) -> None:
    """One item, recorded and durable, beside one row of a bare table, durable."""
    store = store_in(folder, "single")
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("CREATE TABLE items (key TEXT PRIMARY KEY, value TEXT)")
    text = "the seal of pump three was replaced, forty newton metres"
    ours, theirs = [], []
    for n in range(ADDS):
        ours.append(timed(lambda n=n: store.add(f"key-{n}", f"{text} {n}")))  # type: ignore[misc]
        theirs.append(
            timed(
                lambda n=n: bare.execute(  # type: ignore[misc]
                    "INSERT INTO items VALUES (?, ?)", (f"key-{n}", f"{text} {n}")
                )
            )
        )
    our, their = (statistics.fmean(taken) * 1e6 for taken in (ours, theirs))
    print(
        f"add one   dino {our:.0f} us, a bare durable insert {their:.0f} us   "
        f"{our / their:.2f} x   {verdict(our / their, 2, at_least=False)}"
    )
    store.close()
    bare.close()


def each(work: Callable[[Any], Any], items: Any) -> tuple[list[float], list[Any]]:
    taken, found = [], []
    for item in items:
        began = time.perf_counter()
        found.append(work(item))
        taken.append(time.perf_counter() - began)
    return taken, found


def recall(found: Any, truth: Any) -> float:
    hits = sum(len({*some} & {*map(int, true)}) for some, true in zip(found, truth, strict=True))
    return hits / truth.size


def at(taken: list[float], part: float) -> float:
    return sorted(taken)[min(int(len(taken) * part), len(taken) - 1)] * 1000


def middle(taken: list[float]) -> float:
    return at(taken, 0.5)


def line(what: str, taken: list[float], recalled: float | None = None) -> None:
    known = "" if recalled is None else f"   recall@10 {recalled:.3f}"
    print(f"{what}   p50 {at(taken, 0.5):.2f} ms, p99 {at(taken, 0.99):.2f} ms{known}")


if __name__ == "__main__":
    main()
