"""Which entries have vectors of which model; another model takes over when it has them all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer import filling
from dino_os.memory_layer import store as store_module
from dino_os.memory_layer.embedding import EmbedderUnavailable
from dino_os.memory_layer.embedding.model import EmbedderAway
from dino_os.memory_layer.store import MemoryStore
from dino_os.memory_layer.vector_rows import GIVEN, VectorRows, building, serving
from engines.journal import Journal
from tests.memory_layer.conftest import Clock, recorded


class Tiny:
    """An embedder of a few numbers, made of a hash; told what it was shown."""

    local, floor = True, 0.0

    def __init__(self, name: str = "tiny", dim: int = 4, fingerprint: str = "1") -> None:
        self.name, self.dim, self.fingerprint = name, dim, fingerprint
        self.shown: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def documents(self, texts: Sequence[str]) -> Any:
        self.shown += texts
        self.meanwhile()
        rows = np.array([[*sha256(text.encode()).digest()[: self.dim]] for text in texts], "f4")
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def query(self, text: str) -> Any:
        return self.documents([text])[0]


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture
def made(folder: Path, clock: Clock) -> Iterator[Callable[..., MemoryStore]]:
    stores = []

    def make(*embedders: Tiny) -> MemoryStore:
        known = {one.name: one for one in embedders} | {None: embedders[0] if embedders else None}
        store = MemoryStore(
            folder / "m.db", Journal(folder / "log.jsonl"), clock=clock, embedder=known.get
        )
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


def vectors(store: MemoryStore) -> dict[str, str]:
    """Key → model, of all vectors there are."""
    query = (
        "SELECT key, name FROM vectors JOIN entries USING (id) JOIN models USING (model) "
        "ORDER BY vectors.n"
    )
    return dict(store._read(lambda db: db.execute(query).fetchall()))


def waiting(store: MemoryStore) -> list[str]:
    query = "SELECT key FROM waiting JOIN entries USING (id) ORDER BY key"
    return [key for (key,) in store._read(lambda db: db.execute(query).fetchall())]


def test_what_may_have_a_vector_gets_one_later(made: Any, tiny: Tiny) -> None:
    """There is no model in the write path; the words are shown, or the key where there are none."""
    store = made(tiny)
    store.add("a", {"note": "red"})
    store.add("b", 2, embed=False)
    assert tiny.shown == []
    assert store.embed_waiting() == 1
    store.add("key only", None)
    assert waiting(store) == ["key only"]
    assert store.embed_waiting() == 1
    assert tiny.shown == ["note\nred", "key only"]
    assert vectors(store) == {"a": "tiny", "key only": "tiny"}
    assert store.embed_waiting() == 0
    assert store.check()["ok"]


def test_what_changes_loses_its_vector_and_what_does_not_keeps_it(made: Any, tiny: Tiny) -> None:
    store = made(tiny)
    store.add_many([{"key": key, "value": f"text {key}"} for key in "abcd"])
    store.embed_waiting()
    store.add("a", "text a", tags=["new"])  # the same value
    store.add("b", "other")
    store.add("c", "text c", embed=False)
    store.delete("d")
    assert (vectors(store), waiting(store)) == ({"a": "tiny"}, ["b"])
    store.add("c", "text c")
    assert waiting(store) == ["b", "c"]
    assert store.check()["ok"]


def test_an_entry_that_changes_while_it_is_embedded_waits_on(made: Any, tiny: Tiny) -> None:
    """The vector of what it was is not kept, even where it was forgotten, or is the same again."""
    store = made(tiny)
    store.add_many([{"key": key, "value": f"text {key}"} for key in "abcd"])
    other = made(tiny)

    def meanwhile() -> None:
        tiny.meanwhile = lambda: None
        other.add("a", "changed")
        other.delete("b")
        other.add("c", "x")
        other.add("c", "text c")

    tiny.meanwhile = meanwhile
    assert store.embed_waiting() == 1
    assert (vectors(store), waiting(store)) == ({"d": "tiny"}, ["a", "c"])
    assert store.embed_waiting() == 2
    assert store.check()["ok"]


def test_two_that_embed_at_once_do_not_get_in_each_others_way(made: Any, tiny: Tiny) -> None:
    store, other = made(tiny), made(Tiny())
    store.add_many([{"key": f"k{n}", "value": n} for n in range(100)])
    tiny.meanwhile = other.embed_waiting
    store.embed_waiting()
    assert len(vectors(store)) == 100


def test_embedding_ends_with_its_budget_and_goes_on_where_it_was(made: Any, tiny: Tiny) -> None:
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": n} for n in range(200)])
    assert store.embed_waiting(budget_s=0) == 0
    tiny.meanwhile = lambda: (_ for _ in ()).throw(MemoryLayerError("stopped"))
    with pytest.raises(MemoryLayerError, match="stopped"):
        store.embed_waiting()
    tiny.meanwhile = lambda: None
    told: list[int] = []
    found = store.reindex(progress=told.append)
    assert found == {"model": "tiny", "dim": 4, "embedded": 200, "waiting": 0}
    assert sum(told) == 200
    assert store.embed_waiting() == 0


def test_with_a_budget_the_clock_is_looked_at_every_few_texts(
    made: Any, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small model takes seconds for a batch; what was made until then is kept."""
    now = [0.0]
    monkeypatch.setattr(filling.time, "monotonic", lambda: now[0])
    tiny.meanwhile = lambda: now.__setitem__(0, now[0] + 0.15)
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": n} for n in range(100)])
    store.add_many([{"key": f"large {n}", "value": "word " * 500} for n in range(4)])
    assert store.embed_waiting(0.2) == 8
    assert store.embed_waiting() == 96
    store.add_many([{"key": f"large {n}", "value": "other " * 500} for n in range(4)])
    assert store.embed_waiting(0.2) == 2


def test_a_search_waits_for_no_writer_where_something_waits_for_a_vector(
    made: Any, tiny: Tiny, folder: Path
) -> None:
    """Neither with a model already, nor for its first; afterwards others are waited for again."""
    store = made(tiny)
    store.add("k", "pump")
    for turn in range(2):
        with closing(sqlite3.connect(folder / "m.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store._database.connection.execute("PRAGMA busy_timeout=60000")
            assert [found["key"] for found in store.search("pump")] == ["k"]
        (left,) = store._database.connection.execute("PRAGMA busy_timeout").fetchone()
        assert left >= 30_000
        store.embed_waiting()
        store.add("k", f"pump {turn}")
    assert store.embed_waiting() == 1


@pytest.mark.parametrize("other", [False, True])
def test_a_text_that_the_model_refuses_is_passed_over(
    made: Any, tiny: Tiny, *, other: bool
) -> None:
    """It is told, and tried again by the next run; another model takes over all the same."""
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": f"text {n}"} for n in range(100)])
    if other:
        store.embed_waiting()
        tiny = Tiny("large", 8)
        store = made(tiny)
    store.add("bad", "too long")
    honest = tiny.documents
    tiny.documents = lambda texts: refused() if "too long" in texts else honest(texts)  # type: ignore[method-assign]
    found = store.reindex()
    assert found == {
        "model": tiny.name,
        "dim": tiny.dim,
        "embedded": 100,
        "waiting": 1,
        "failed": 1,
    }
    assert set(vectors(store).values()) == {tiny.name}
    assert waiting(store) == ["bad"]
    assert store.is_behind()
    tiny.documents = honest  # type: ignore[method-assign]
    assert store.reindex()["embedded"] == 1


def refused() -> None:
    raise EmbedderUnavailable("400: maximum context length")


def test_a_model_that_is_not_there_is_not_asked_for_each_text(made: Any, tiny: Tiny) -> None:
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": f"text {n}"} for n in range(100)])

    def away() -> None:
        raise EmbedderAway("gone")

    tiny.meanwhile = away
    with pytest.raises(EmbedderAway):
        store.reindex()
    tiny.meanwhile = refused
    with pytest.raises(EmbedderUnavailable, match="maximum"):
        store.reindex()
    assert len(tiny.shown) == 64 + 64 + 1


def test_what_waits_for_nothing_waits_no_more(made: Any, tiny: Tiny) -> None:
    """As after a fault of the file: of no entry, of one that may have none, and of one that has."""
    store = made(tiny)
    store.add("k", 1)
    store.add("none", 2, embed=False)
    store.embed_waiting()
    store._opened().execute("INSERT INTO waiting SELECT model, id FROM entries, models")
    store._opened().execute("INSERT INTO waiting SELECT model, 77 FROM models")
    assert store.reindex()["waiting"] == 0
    assert store.check()["ok"]


def test_a_model_elsewhere_is_not_asked_by_a_search(made: Any, tiny: Tiny) -> None:
    tiny.local = False
    store = made(tiny)
    store.add("k", 1)
    assert store.embed_waiting(only_local=True) == 0
    assert store.embed_waiting() == 1


# --- another model -------------------------------------------------------------------------------


def test_another_model_is_an_error_with_the_command_that_helps(made: Any, tiny: Tiny) -> None:
    store = made(tiny)
    store.add("k", 1)
    store.embed_waiting()
    for other in (Tiny("large", 8), Tiny(fingerprint="2"), Tiny(dim=3)):
        with pytest.raises(MemoryLayerError, match="its vectors are of the model 'tiny'") as error:
            made(other).meaning()
        assert "dino memory reindex" in (error.value.hint or "")
    assert made().meaning() is None


def test_the_old_model_serves_until_the_new_one_has_all(
    made: Any, tiny: Tiny, folder: Path
) -> None:
    large = Tiny("large", 8)
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": n} for n in range(150)])
    store.embed_waiting()
    new = made(large, tiny)
    seen = []

    def meanwhile() -> None:
        model, embedder = new.meaning()
        seen.append((model.name, embedder.name))
        if len(seen) == 2:
            new.add("late", "added meanwhile")
            new.add("k000", "changed meanwhile")

    large.meanwhile = meanwhile
    found = new.reindex()
    assert seen[:2] == [("tiny", "tiny")] * 2
    assert found == {"model": "large", "dim": 8, "embedded": 152, "waiting": 0}
    assert set(vectors(new).values()) == {"large"}
    assert len(vectors(new)) == 151
    assert [m["model"] for m in (new.stats()["serving"],)] == ["large"]
    assert "building" not in new.stats()
    assert new.meaning() == (new._read(serving), large)
    kinds = [e["event_type"] for e in recorded(folder / "log.jsonl")]
    assert kinds.count("memory_model_serves") == 1
    assert new.check()["ok"]


def test_a_change_of_model_that_was_stopped_goes_on(made: Any, tiny: Tiny) -> None:
    """By whoever reindexes next; the old vectors serve until then, for new entries too."""
    large = Tiny("large", 8)
    store = made(tiny)
    store.add_many([{"key": f"k{n:03}", "value": n} for n in range(100)])
    store.embed_waiting()
    new = made(large, tiny)
    calls = iter([None])
    large.meanwhile = lambda: next(calls)
    with pytest.raises(StopIteration):
        new.reindex()
    assert new._read(building).name == "large"
    assert new.meaning()[0].name == "tiny"
    large.meanwhile, before = lambda: None, len(large.shown)
    new.add("more", 1)
    assert new.embed_waiting() == 1
    assert new.reindex()["embedded"] == 100 + 1 - 64
    assert len(large.shown) == before + 37
    assert new._read(serving).name == "large"


def test_going_back_drops_what_was_begun(made: Any, tiny: Tiny) -> None:
    large = Tiny("large", 8)
    store = made(tiny, large)
    store.add("k", 1)
    store.embed_waiting()
    large.meanwhile = lambda: (_ for _ in ()).throw(MemoryLayerError("stopped"))
    with pytest.raises(MemoryLayerError):
        made(large, tiny).reindex()
    assert store.reindex()["model"] == "tiny"
    assert (store._read(building), vectors(store)) == (None, {"k": "tiny"})


@pytest.mark.parametrize("wrong", [np.zeros((1, 3)), np.full((1, 4), np.nan), np.zeros((2, 4))])
def test_a_model_that_gives_something_else_is_an_error(made: Any, tiny: Tiny, wrong: Any) -> None:
    store = made(tiny)
    store.add("k", 1)
    tiny.documents = lambda _: wrong  # type: ignore[method-assign]
    with pytest.raises(MemoryLayerError, match="'tiny' gave vectors of the shape"):
        store.embed_waiting()
    assert waiting(store) == ["k"]


@pytest.mark.parametrize("configured", [True, False])
def test_a_model_that_is_named_must_be_the_configured_one(
    made: Any, tiny: Tiny, *, configured: bool
) -> None:
    """Else the next run, and the service, would go back to that one."""
    store = made(tiny, Tiny("large", 8))
    store.add("k", 1)
    if not configured:
        store._embedders = {"large": Tiny("large", 8)}.get
    with pytest.raises(InvalidInput, match="'large' is not the model of this memory") as refused:
        store.reindex("large")
    assert "dino config set memory.embedder large" in str(refused.value.hint)
    assert store._read(serving) is None
    assert store.reindex("tiny")["embedded"] == int(configured)


def test_reindexing_is_done_without_the_index_where_others_write_that(
    made: Any, tiny: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_INDEX_WAIT_S", 0.0)
    store = made(tiny)
    store.add("k", 1)
    store.embed_waiting()
    model, _ = store.meaning()
    with store.index(model)._kept.lock.held():
        store.add("other", 2)
        found = store.reindex()
    assert (found["embedded"], found["waiting"]) == (1, 0)
    assert "not made: busy" in found["index"]
    assert "index" not in store.reindex()


# --- vectors that came along ---------------------------------------------------------------------


def test_a_vector_that_came_along_is_kept_at_length_one(made: Any) -> None:
    store = made()
    store.add("k", 1, vector=np.array([3, 4], "i8"))
    store.add("large", 1, vector=[1e308, 1e308])
    store.add("zero", 1, vector=(0, 0))
    rows = store._read(lambda db: db.execute("SELECT vec FROM vectors ORDER BY n").fetchall())
    found = [np.frombuffer(vec, "<f4").tolist() for (vec,) in rows]
    assert found == [pytest.approx([0.6, 0.8]), pytest.approx([0.5**0.5] * 2), [0, 0]]
    assert store.meaning()[0].name == GIVEN
    assert store.reindex() == {"model": GIVEN, "dim": 0, "embedded": 0, "waiting": 0}
    assert store.check()["ok"]


def test_a_vector_that_comes_along_does_not_switch_off_the_configured_model(
    made: Any, tiny: Tiny, tmp_path: Path
) -> None:
    """Not even the first, or from a file; one of its size counts as its own."""
    store = made(tiny)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"key": "k", "value": 1, "vector": [1.0]}\n')
    with pytest.raises(InvalidInput, match="a vector of 1 numbers; those of 'tiny'"):
        store.import_(str(lines))
    with pytest.raises(InvalidInput, match="a vector of 1 numbers; those of 'tiny'"):
        store.add("k", 1, vector=[1.0])
    with pytest.raises(InvalidInput, match="of 2 numbers"):
        store.add_many([{"key": "k", "value": 1, "vector": [1, 0]}])
    store.add("mine", 1, vector=[1, 0, 0, 0])
    store.add("other", 2)
    assert store.embed_waiting() == 1
    assert vectors(store) == {"mine": "tiny", "other": "tiny"}
    assert store.search("2", mode="meaning")


def test_vectors_that_came_along_serve_only_where_no_model_is_configured(
    made: Any, tiny: Tiny
) -> None:
    plain = made()
    plain.add("k", 1, vector=[1, 0])
    store = made(tiny)
    assert store.is_behind()
    assert "of the model 'given'" in store.words_only()
    assert [found["key"] for found in store.search("1")] == ["k"]
    assert store.reindex()["model"] == "tiny"
    assert (vectors(store), store.words_only()) == ({"k": "tiny"}, None)


# --- what an index follows -----------------------------------------------------------------------


def test_an_index_that_follows_has_what_the_table_has(made: Any, tiny: Tiny) -> None:
    """Whatever was done in between, from wherever it had come."""
    store = made(tiny)
    rng = np.random.default_rng(5)
    held: dict[int, tuple[int, bytes]] = {}
    n = r = 0
    for _ in range(40):
        for key in rng.integers(0, 12, 6):
            if rng.random() < 0.3:
                store.delete(str(key))
            else:
                store.add(str(key), float(rng.random()))
        if rng.random() < 0.1:
            store.clear()
        store.embed_waiting()
        model, _ = store.meaning()
        with store._reading() as db:
            source = VectorRows(db, model.number)
            held |= {at: (number, vec) for at, number, vec in source.since(n)}
            for _, at in source.removed_since(r):
                held.pop(at, None)
            n, r = source.position()
            expected = dict(db.execute("SELECT id, vec FROM vectors").fetchall())
        assert dict(held.values()) == expected
        assert len(held) == len(expected)


def test_the_order_of_change_is_never_used_again(made: Any, tiny: Tiny) -> None:
    store = made(tiny)
    store.add("k", 1)
    store.embed_waiting()
    model, _ = store.meaning()
    first = VectorRows(store._opened(), model.number).position()
    store.forget(key="k")
    store.add("k", 1)
    store.embed_waiting()
    second = VectorRows(store._opened(), model.number).position()
    assert (first, second) == ((1, 0), (2, 1))


def test_a_backup_takes_vectors_along(made: Any, tiny: Tiny, folder: Path) -> None:
    store = made(tiny)
    store.add("k", 1)
    store.add("waits", 2)
    store.embed_waiting()
    store.add("waits", 3)
    store.backup(str(folder / "b.db"))
    store.clear()
    store.restore(str(folder / "b.db"))
    assert (vectors(store), waiting(store)) == ({"k": "tiny"}, ["waits"])
    assert store.check()["ok"]
