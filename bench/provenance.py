"""
Provenance: what a tapped event costs, that memory stays flat, and how long questions to a large
graph take, beside networkx and a plain recursive query over the same edges.

    python bench/provenance.py
    python bench/provenance.py --events 10000000     # memory over so many events
"""

from __future__ import annotations

import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

from engines.provenance import Edge, ProvenanceDomain, Relation, Tap
from engines.redaction import Pseudonyms, Redactor

EVENTS, ROUNDS = 20_000, 5
FLAT_EVENTS = 200_000
EDGES, PER_RUN, A_DAY, MADE, QUESTIONS = 1_000_000, 4, 1_000, 0.7, 200


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        tapping(Path(folder))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        flat(Path(folder), _count("--events", FLAT_EVENTS))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asking(Path(folder), _count("--edges", EDGES))


def domain(folder: Path) -> ProvenanceDomain:
    redactor = Redactor(pseudonyms=Pseudonyms(bytes(32)))
    return ProvenanceDomain(folder / "provenance_log.jsonl", redactor=redactor)


def tapping(folder: Path) -> None:
    """Redacted, looked at for anomalies, sealed into the chain, written and synced: all of it."""
    tap = Tap(domain(folder))
    wall, cpu = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        for n in range(EVENTS):
            tap.tap("tide_read", {"station": n % 97, "level_m": n / 8, "state": "rising"}, "run-1")
        tap.flush()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    each = [1e6 * median(times) / EVENTS for times in (wall, cpu)]
    print(f"tap, in batches    {each[0]:6.1f} us an event, {each[1]:.1f} us of CPU (below 50)")


def flat(folder: Path, count: int) -> None:
    tap = Tap(domain(folder))
    sizes = []
    began = time.process_time()
    for n in range(count):
        tap.tap("tide_read", {"station": n % 97, "level_m": n / 8}, f"run-{n // 1000}")
        if n % (count // 10) == count // 10 - 1:
            sizes.append(resident())
    tap.flush()
    shown = " ".join(f"{size:.0f}" for size in sizes)
    print(f"memory, {count:,} events, after each tenth: {shown} MB (flat)")
    print(f"                   {time.process_time() - began:.0f} s of CPU, dropped {tap.dropped}")


def resident() -> float:
    """MB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def edges(count: int) -> list[tuple[str, str]]:
    """(effect, cause): days of runs that use what others made that day, and each make a thing."""
    chance = random.Random(10)
    found = []
    for run in range(count // PER_RUN):
        day = run - run % A_DAY
        uses = {chance.randrange(day, run) for _ in range(PER_RUN - 1)} if run > day else set()
        # Some of what is used came from elsewhere, and nothing recorded led to it.
        found += [
            (f"run:{run}", f"made:{one}" if chance.random() < MADE else f"given:{one}")
            for one in sorted(uses)
        ]
        found.append((f"made:{run}", f"run:{run}"))
    return found


def asking(folder: Path, count: int) -> None:
    said = edges(count)
    provenance = domain(folder)
    began = time.perf_counter()
    rows = iter(said)
    while some := list(islice(rows, 100_000)):
        provenance.add_statements(
            edges=[
                Edge(Relation.USED if e.startswith("run") else Relation.GENERATED_BY, e, c)
                for e, c in some
            ]
        )
    wrote = time.perf_counter()
    graph = provenance.graph
    indexed = time.perf_counter()
    print(
        f"graph              {graph.size().nodes:,} nodes, {len(said):,} edges: recorded in "
        f"{wrote - began:.0f} s, indexed in {indexed - wrote:.0f} s"
    )
    chance = random.Random(11)
    last = len(said) // PER_RUN
    asked = [f"made:{chance.randrange(last // 2, last)}" for _ in range(QUESTIONS)]
    ours = {one: {node.id for node, _ in graph.ancestors(one).nodes} for one in asked}
    sizes = sorted(map(len, ours.values()))
    print(f"ancestors          {median(sizes):,} of each in the middle, {sizes[-1]:,} at most")
    report("dino", graph.ancestors, asked)
    plain = recursive(folder / "plain.db", said)
    assert all({*plain(one)} == ours[one] for one in asked)
    report("recursive query", plain, asked)
    if peer := networkx(said):
        assert all({*peer(one)} == ours[one] for one in asked)
        report("networkx", peer, asked)
    report("dino, down", graph.descendants, asked)


def report(name: str, ask: Callable[[str], object], asked: list[str]) -> None:
    times = []
    for one in asked:
        began = time.perf_counter()
        ask(one)
        times.append(1e3 * (time.perf_counter() - began))
    times.sort()
    print(f"  {name:<17}p50 {median(times):6.2f} ms   p95 {times[int(0.95 * len(times))]:6.2f} ms")


def recursive(file: Path, said: list[tuple[str, str]]) -> Callable[[str], list[str]]:
    """As one would write it: names in a table, an index, WITH RECURSIVE."""
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE edge (effect TEXT, cause TEXT)")
    db.executemany("INSERT INTO edge VALUES (?, ?)", said)
    db.execute("CREATE INDEX by_effect ON edge (effect, cause)")
    db.commit()
    query = (
        "WITH RECURSIVE up(id) AS (SELECT cause FROM edge WHERE effect = ? "
        "UNION SELECT cause FROM edge JOIN up ON effect = id) SELECT id FROM up"
    )
    return lambda one: [id_ for (id_,) in db.execute(query, [one])]


def networkx(said: list[tuple[str, str]]) -> Callable[[str], set[str]] | None:
    """In memory, and without a record."""
    try:
        import networkx as nx  # noqa: PLC0415
    except ImportError:
        return None
    found = nx.DiGraph(said)
    return lambda one: nx.descendants(found, one)


def _count(option: str, usual: int) -> int:
    return int(sys.argv[sys.argv.index(option) + 1]) if option in sys.argv else usual


if __name__ == "__main__":
    main()
