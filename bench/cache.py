"""
The latent cache beside diskcache in the same run, and the document store that lies below it.

    python bench/cache.py [FOLDER]        FOLDER lies on the disk to measure; default: here

Both make each `set` durable before they go on (diskcache: SQLite's synchronous FULL, no eviction);
ours records it besides, by hash, in a journal.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from side_by_side import in_turns, timed, verdict

from engines.journal import Journal
from engines.latent_cache import DocumentStore, LatentCache

SETS, GETS, KEYS = 1_000, 10_000, 1_000
BATCH, BATCHES = 1_000, 10
ROUNDS = 7
VALUE = {"station": "Mole", "level_m": 3.25, "tags": ["ebb", "night"], "note": "x" * 100}


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=where) as folder:
        sets_and_gets(Path(folder))
        documents(Path(folder))


def sets_and_gets(folder: Path) -> None:
    """A thousand keys, set again and again, and looked up."""
    import diskcache  # type: ignore[import-not-found]  # noqa: PLC0415  of the group `bench`

    ours = LatentCache(folder / "ours")
    theirs = diskcache.Cache(
        folder / "theirs", sqlite_synchronous=2, eviction_policy="none", cull_limit=0
    )
    for what, one, other, each in (
        ("set", lambda n: ours.set(f"key-{n % KEYS}", VALUE), theirs.set, SETS),
        ("get", lambda n: ours.get(f"key-{n % KEYS}"), theirs.get, GETS),
    ):
        rest = (VALUE,) if what == "set" else ()

        def our(one: Any = one, each: int = each) -> None:
            for number in range(each):
                one(number)

        def their(other: Any = other, rest: Any = rest, each: int = each) -> None:
            for number in range(each):
                other(f"key-{number % KEYS}", *rest)

        seconds = in_turns({"ours": our, "diskcache": their}, ROUNDS)
        ratio = seconds["diskcache"] / seconds["ours"]
        print(
            f"{what}   dino {each / seconds['ours']:,.0f}/s, diskcache "
            f"{each / seconds['diskcache']:,.0f}/s   {ratio:.2f} x   "
            f"{verdict(ratio, 1, at_least=True)}"
        )
    ours.close()
    theirs.close()


def documents(folder: Path) -> None:
    """Small documents in transactions of a thousand, each recorded: edits, revisions, reading."""
    batches = count()

    def new() -> list[dict[str, Any]]:
        return [{"_id": f"{next(batches):08}", **VALUE} for _ in range(BATCH)]

    here = DocumentStore(folder / "here.db", Journal(folder / "here_log.jsonl"))
    there = DocumentStore(folder / "there.db", Journal(folder / "there_log.jsonl"))
    here.put_many(new())
    given = [new() for _ in range(BATCHES)]
    show("put", timed(lambda: [here.put_many(docs) for docs in given]), 25_000)
    asked = [(change.id, change.revs[0]) for change in here.changes(limit=BATCHES * BATCH)]
    parts = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]
    here.read_revisions(parts[0])
    read: list[list[dict[str, Any]]] = []
    show("read_revisions", timed(lambda: read.extend(map(here.read_revisions, parts))), 40_000)
    there.write_revisions(read[0])
    show("write_revisions", timed(lambda: [there.write_revisions(p) for p in read[1:]]), 25_000, 9)
    questions = [{name: [rev] for name, rev in part} for part in parts]
    show("revs_diff", timed(lambda: [there.revs_diff(asked) for asked in questions]))
    here.close()
    there.close()


def show(what: str, seconds: float, asked: int = 0, batches: int = BATCHES) -> None:
    rate = batches * BATCH / seconds
    told = verdict(rate, asked, at_least=True) if asked else ""
    print(f"{what}, {BATCH:,} documents at a time   {rate:,.0f}/s   {told}")


if __name__ == "__main__":
    main()
