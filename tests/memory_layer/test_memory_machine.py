"""Ten thousand operations against a plain mapping, with everything an entry can have."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dino_os.errors import NotFound
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal, verify
from tests.memory_layer.conftest import Clock, check_sound, recorded

OPERATIONS = 10_000
KEYS = ["a", "a/1", "a/2", "é", "\0", "'; --", '"x"', "trade_BTC", "b", "NEAR(a)"]
NAMESPACES = ["", "", "", "one", "two \0"]
TAGS = ["red", "blue", "x'--", "ключ"]
WORDS = ["harbour", "crane", "tide", "mole", "ebb", 'say "so"', "Zürich", "OR", "1.5"]


class Kept(NamedTuple):
    value: Any
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    expires: float | None


class Machine:
    """A store, and beside it the mapping that it should be like."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance, self.clock = folder, random.Random(seed), Clock()
        self.plain: dict[tuple[str, str], Kept] = {}
        self.done = 0
        self.open()

    def open(self) -> None:
        journal = Journal(self.folder / "log.jsonl")
        self.store = MemoryStore(self.folder / "m.db", journal, clock=self.clock, versions=5)
        # It is about what is there, and not about power cuts.
        self.store._opened().execute("PRAGMA synchronous=OFF")

    def name(self) -> tuple[str, str]:
        return self.chance.choice(NAMESPACES), self.chance.choice(KEYS)

    def live(self) -> dict[tuple[str, str], Kept]:
        now = self.clock.now
        return {n: k for n, k in self.plain.items() if k.expires is None or k.expires > now}

    def item(self) -> tuple[tuple[str, str], dict[str, Any]]:
        name, chance = self.name(), self.chance
        value = {"text": " ".join(chance.choices(WORDS, k=3)), "n": chance.random()}
        more = {
            "key": name[1],
            "value": chance.choice([value, value["text"], chance.randrange(99), None, [value]]),
            "namespace": name[0],
            "tags": chance.sample(TAGS, chance.randrange(3)),
            "metadata": {"n": chance.randrange(5)} if chance.random() < 0.3 else None,
            "ttl": chance.choice([1, 20]) if chance.random() < 0.2 else None,
            "embed": chance.random() < 0.5,
        }
        return name, more

    def keep(self, name: tuple[str, str], more: dict[str, Any]) -> None:
        expires = self.clock.now + more["ttl"] if more["ttl"] else None
        tags = tuple(sorted(more["tags"]))
        self.plain[name] = Kept(more["value"], tags, more["metadata"] or {}, expires)

    # --- operations --------------------------------------------------------------------------

    def add(self) -> None:
        name, more = self.item()
        self.store.add(more.pop("key"), more.pop("value"), more.pop("embed"), **more)
        self.keep(name, {**more, "value": self.store.get(name[1], namespace=name[0])})

    def add_many(self) -> None:
        items = [self.item() for _ in range(self.chance.randrange(8))]
        assert self.store.add_many([more for _, more in items]) == len(items)
        for name, more in items:
            self.keep(name, more)

    def delete(self) -> None:
        name = self.name()
        assert self.store.delete(name[1], namespace=name[0]) == (name in self.live())
        self.plain.pop(name, None)

    def get(self) -> None:
        name = self.name()
        kept = self.live().get(name)
        assert self.store.get(name[1], namespace=name[0]) == (kept.value if kept else None)
        if kept:
            (now, *_) = self.store.versions(name[1], namespace=name[0])
            assert now["value"] == kept.value
            assert (tuple(now["tags"]), now["metadata"]) == (kept.tags, kept.metadata)

    def tag(self) -> None:
        name, added, gone = self.name(), self.chance.choice(TAGS), self.chance.choice(TAGS)
        kept = self.live().get(name)
        with contextlib.nullcontext() if kept else pytest.raises(NotFound):
            found = self.store.tag(name[1], [added], [gone], namespace=name[0])
        if kept:
            tags = tuple(sorted(({*kept.tags} | {added}) - {gone}))
            assert tuple(found) == tags
            self.plain[name] = kept._replace(tags=tags)

    def look(self) -> None:
        namespace, tag = self.chance.choice(NAMESPACES), self.chance.choice(TAGS)
        prefix = self.chance.choice(["", "a", "a/", "\0"])
        live = {key: kept for (ns, key), kept in self.live().items() if ns == namespace}
        expected = sorted((key for key in live if key.startswith(prefix)), key=str.encode)
        assert self.store.list(namespace=namespace, prefix=prefix) == expected
        tagged = sorted((key for key in live if tag in live[key].tags), key=str.encode)
        assert self.store.list(namespace=namespace, tags=[tag]) == tagged
        assert self.store.get_all(namespace=namespace) == {k: live[k].value for k in live}

    def search(self) -> None:
        word = self.chance.choice(["harbour", "crane", "tide", "ebb"])
        has = {key for (_, key), kept in self.live().items() if word in str(kept.value)}
        assert {r["key"] for r in self.store.search(word, top_k=100)} == has

    def forget(self) -> None:
        tag, chosen = self.chance.choice(TAGS), self.name()
        if self.chance.random() < 0.5:
            self.store.forget(key=chosen[1], namespace=chosen[0])
            self.plain.pop(chosen, None)
            assert self.store.versions(chosen[1], namespace=chosen[0]) == []
        else:
            gone = [name for name, kept in self.live().items() if tag in kept.tags]
            assert self.store.forget(tag=tag) >= len(gone)
            for name in gone:
                del self.plain[name]

    def clear(self) -> None:
        assert self.store.clear() == len(self.live())
        self.plain = {}

    def wait(self) -> None:
        self.clock.now = round(self.clock.now + self.chance.choice([0.1, 1, 10]), 6)

    def restart(self) -> None:
        self.store.close()
        self.open()

    def back_up(self) -> None:
        """And lose everything, and have it again."""
        self.store.backup(str(self.folder / "b.db"))
        self.store.clear()
        assert self.store.restore(str(self.folder / "b.db")) == len(self.live())

    def carry(self) -> None:
        """Out as lines, and in again."""
        self.store.export(str(self.folder / "x.jsonl"))
        self.store.clear()
        assert self.store.import_(str(self.folder / "x.jsonl")) == len(self.live())

    COMMON = (add, add, add, add_many, delete, get, get, tag, look, search, wait)
    RARE = (clear, restart, back_up, carry, forget)

    def step(self) -> None:
        rare = self.chance.random() < 0.01
        self.chance.choice(self.RARE if rare else self.COMMON)(self)
        self.done += 1


def test_ten_thousand_operations_leave_what_a_mapping_has(tmp_path: Path) -> None:
    """And the journal says of each key what there is of it."""
    machine = Machine(tmp_path, seed=4)
    for _ in range(OPERATIONS):
        machine.step()
    live = machine.live()
    for namespace in dict.fromkeys(NAMESPACES):
        expected = {key: kept.value for (ns, key), kept in live.items() if ns == namespace}
        assert machine.store.get_all(namespace=namespace) == expected
    assert machine.store.check()["faults"] == []
    assert len(recorded(tmp_path / "log.jsonl")) > OPERATIONS / 2
    machine.store.close()
    assert verify(tmp_path / "log.jsonl").ok
    check_sound(tmp_path / "m.db")
    assert machine.done == OPERATIONS
