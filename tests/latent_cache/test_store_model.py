"""The store held against a naive one, whatever is done to it in whatever order."""

from __future__ import annotations

import json
import tempfile
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines.journal import Journal, RecordedJournal
from engines.latent_cache import Conflict, DocumentStore, Missing
from engines.latent_cache.revision import new_hash
from tests.latent_cache.conftest import Clock, written

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(0, 3)


class Naive:
    """Every revision that was ever made, each with its parent; the rest is computed."""

    def __init__(self) -> None:
        self.docs: dict[str, dict[str, tuple[str | None, bool, dict[str, Any]]]] = {}
        self.expires: dict[tuple[str, str], float] = {}

    def add(
        self,
        name: str,
        parent: str | None,
        *,
        deleted: bool,
        body: dict[str, Any],
        set_: bool = False,
    ) -> str:
        before = (0, "") if parent is None else (int(parent.split("-")[0]), parent.split("-")[1])
        hash_ = new_hash(body, before, deleted=deleted)
        if set_:  # not edited
            raw = json.dumps(body, separators=(",", ":")).encode()
            hash_ = md5((parent or "").encode() + sha256(raw).digest()).hexdigest()
        rev = f"{before[0] + 1}-{hash_}"
        self.docs.setdefault(name, {})[rev] = (parent, deleted, body)
        return rev

    def leaves(self, name: str, now: float) -> list[tuple[str, bool]]:
        """Those that can be seen; where there is none, all."""
        revs = self.docs.get(name, {})
        parents = {parent for parent, _, _ in revs.values()}
        found = [(rev, revs[rev][1]) for rev in revs if rev not in parents]
        seen = [leaf for leaf in found if not self.is_hidden(name, leaf[0], now)]
        return sorted(seen or found, key=_rank, reverse=True)

    def is_hidden(self, name: str, rev: str, now: float) -> bool:
        return self.expires.get((name, rev), now + 1) <= now

    def history(self, name: str, rev: str | None) -> list[str]:
        found = []
        while rev:
            found.append(rev.split("-")[1])
            rev = self.docs[name][rev][0]
        return found


def _rank(leaf: tuple[str, bool]) -> tuple[bool, int, str]:
    pos, hash_ = leaf[0].split("-")
    return not leaf[1], int(pos), hash_


class Machine(RuleBasedStateMachine):
    """Two stores that edit and replicate; each has a naive one beside it."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.stores, self.naive = [], [Naive(), Naive()]
        for name in "ab":
            journal = Journal(Path(self.folder.name) / f"{name}.jsonl")
            file = Path(self.folder.name) / f"{name}.db"
            self.stores.append(DocumentStore(file, journal, clock=self.clock))
            # Nothing here is about what survives a power cut.
            with self.stores[-1].reading() as db:
                db.execute("PRAGMA synchronous=OFF")
        self.written = [0, 0]

    def teardown(self) -> None:
        for store, expected in zip(self.stores, self.written, strict=True):
            store.settle()
            events = [*RecordedJournal(store.path.with_suffix(".jsonl")).events()][1:]
            assert len(written(events)) == expected
            store.close()
        self.folder.cleanup()

    def hidden(self, side: int, name: str) -> bool:
        naive, now = self.naive[side], self.clock.now
        leaves = naive.leaves(name, now)
        return bool(leaves) and naive.is_hidden(name, leaves[0][0], now)

    @rule(side=st.integers(0, 1), name=NAMES, n=NUMBERS, ttl=st.sampled_from([None, None, 5.0]))
    def set(self, side: int, name: str, n: int, ttl: float | None) -> None:
        naive = self.naive[side]
        leaves = naive.leaves(name, self.clock.now)
        parent = leaves[0][0] if leaves else None
        expected = naive.add(name, parent, deleted=False, body={"n": n}, set_=True)
        assert self.stores[side].set(name, {"n": n}, ttl_s=ttl) == expected
        self.written[side] += 1
        if ttl:
            naive.expires[name, expected] = self.clock.now + ttl

    @rule(side=st.integers(0, 1), name=NAMES, n=NUMBERS)
    def put_without_a_revision(self, side: int, name: str, n: int) -> None:
        naive, store = self.naive[side], self.stores[side]
        leaves = naive.leaves(name, self.clock.now)
        if leaves and not leaves[0][1] and not self.hidden(side, name):
            with pytest.raises(Conflict):
                store.put({"_id": name, "n": n})
            return
        parent = leaves[0][0] if leaves else None
        expected = naive.add(name, parent, deleted=False, body={"n": n})
        assert store.put({"_id": name, "n": n}) == expected
        self.written[side] += 1

    @rule(side=st.integers(0, 1), name=NAMES)
    def discard(self, side: int, name: str) -> None:
        naive, store = self.naive[side], self.stores[side]
        leaves = naive.leaves(name, self.clock.now)
        if not leaves or leaves[0][1] or self.hidden(side, name):
            with pytest.raises(Missing):
                store.discard(name)
            return
        seen = [leaf for leaf, gone in leaves if not gone]
        for leaf in seen:
            naive.add(name, leaf, deleted=True, body={})
        self.written[side] += len(seen)
        assert store.discard(name) == naive.leaves(name, self.clock.now)[0][0]

    @rule(side=st.integers(0, 1))
    def replicate(self, side: int) -> None:
        """What the other side can see; what has expired there is not to be seen."""
        there, here = self.stores[side], self.stores[1 - side]
        asked = {change.id: change.revs for change in there.changes()}
        missing = here.revs_diff(asked)
        wanted = [(name, rev) for name, told in missing.items() for rev in told["missing"]]
        docs = there.read_revisions(wanted)
        assert len(docs) == len(wanted)
        assert here.write_revisions(docs) == []
        source, target = self.naive[side], self.naive[1 - side]
        for name, rev in wanted:
            revs = source.docs[name]
            step: str | None = rev
            while step and step not in target.docs.setdefault(name, {}):
                target.docs[name][step] = revs[step]
                step = revs[step][0]
            self.written[1 - side] += 1

    @rule(seconds=st.sampled_from([1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(side=st.integers(0, 1))
    def reopen(self, side: int) -> None:
        self.stores[side].settle()
        self.stores[side]._database.close()

    @invariant()
    def the_stores_are_as_the_naive_ones(self) -> None:
        for side in (0, 1) if hasattr(self, "stores") else ():
            store, naive = self.stores[side], self.naive[side]
            seen = [name for name in sorted(naive.docs) if not self.hidden(side, name)]
            for name in naive.docs:
                leaves = naive.leaves(name, self.clock.now) if name in seen else []
                assert store.leaves(name) == leaves
                for rev, deleted in leaves:
                    doc = store.get(name, rev=rev, revs=True)
                    assert doc["_revisions"]["ids"] == naive.history(name, rev)
                    assert (doc.get("n"), doc.get("_deleted", False)) == (
                        naive.docs[name][rev][2].get("n"),
                        deleted,
                    )
            live = [name for name in seen if not naive.leaves(name, self.clock.now)[0][1]]
            assert [row["id"] for row in store.all_docs()] == live
            assert sorted(change.id for change in store.changes()) == seen
            assert store.info()["doc_count"] == len(live)
            split = [
                n for n in live if sum(not gone for _, gone in naive.leaves(n, self.clock.now)) > 1
            ]
            assert store.conflicts() == split


Machine.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
TestStoreModel = Machine.TestCase
