"""What users' code relies on: the guide's example, and each method by example."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.latent_cache import CacheError, DocumentStore, LatentCache
from engines.metrics import MetricsCollector
from engines.nav_mesh import Request
from engines.replication import LocalPeer
from tests.latent_cache.conftest import Clock, recorded

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> Any:
    with LatentCache(tmp_path / "cache", clock=clock) as found:
        yield found


def test_the_guides_example(home: Path) -> None:
    """The guide's own, with the workspace's cache."""
    cache = LatentCache()
    cache.set("key", {"data": "value"}, ttl=3600)
    value = cache.get("key")
    assert value == {"data": "value"}

    # Simulate offline
    cache.set_online(False)
    cache.set("offline_key", "data")  # Queued
    assert [(one.kind, one.key, one.can_retry()) for one in cache.queue] == [
        ("set", "offline_key", True)
    ]
    assert cache.sync() == 0
    cache.set_online(True)
    assert cache.sync() == 1  # Syncs queued operations
    assert (cache.queue, cache.get("offline_key")) == ([], "data")
    cache.close()
    assert (home / "memory" / "cache" / "documents.db").exists()
    log = home / "memory" / "cache_log.jsonl"
    assert [e["event_type"] for e in recorded(log)] == [
        *["document_written"] * 2,
        "operations_synced",
    ]


@given(value=JSON)
@settings(max_examples=24)
def test_any_json_value_comes_back_as_it_is(stores: Any, value: Any) -> None:
    cache = LatentCache(store=stores())
    cache.set("key", value)
    found = cache.get("key")
    assert json.dumps(found) == json.dumps(value)
    assert type(found) is type(value)


@given(key=st.text(min_size=1).filter(lambda text: "\0" not in text))
@settings(max_examples=18)
def test_any_text_is_a_key(stores: Any, key: str) -> None:
    cache = LatentCache(store=stores())
    if any("\ud800" <= c <= "\udfff" for c in key):
        return
    cache.set(key, key)
    assert (cache.get(key), cache.keys()) == (key, [key])
    assert cache.delete(key)
    assert (cache.get(key), cache.delete(key), cache.keys()) == (None, False, [])


KEYS = st.lists(st.text(r"\_]^a[", min_size=1, max_size=4), max_size=6, unique=True)


@given(keys=KEYS, ends=KEYS, limit=st.integers(0, 4) | st.none())
@settings(max_examples=18)
def test_keys_come_in_order_from_one_end_to_the_other(
    stores: Any, keys: list[str], ends: list[str], limit: int | None
) -> None:
    """Whatever their documents are called, and whatever else lies among them."""
    cache = LatentCache(store=stores())
    for name in cache.keys():  # noqa: SIM118  no mapping
        cache.delete(name)
    for name in keys:
        cache.set(name, name)
    start, end, prefix, *_ = [*ends, "", "", ""]
    for asked in ({"prefix": prefix}, {"start": start}, {"start": start, "end": end}):
        low, high = asked.get("start", ""), asked.get("end")
        fits = [
            one
            for one in sorted(keys)
            if low <= one
            and (high is None or one <= high)
            and one.startswith(asked.get("prefix", ""))
        ]
        assert cache.keys(**asked, limit=limit) == fits[:limit]
    assert [cache.get(name) for name in keys] == keys


@pytest.mark.parametrize("name", ["_design/x", "\\x", "\\", "x\\_y"])
def test_what_is_listed_is_there(cache: LatentCache, name: str) -> None:
    """Others call their documents what they like; those of design are no values."""
    cache.store.put({"_id": name, "n": 1})
    shown = [] if name.startswith("_") else [name]
    assert cache.keys() == shown
    assert [cache.get(key) for key in shown] == [{"n": 1}] * len(shown)
    assert (cache.get(name) is None) == (not shown)
    cache.set(name, 2)
    assert (cache.keys(), cache.get(name)) == ([name], 2)


@pytest.mark.parametrize("key", ["", None, 1, b"k", "\ud800"])
def test_what_is_no_key_is_refused(cache: LatentCache, key: Any) -> None:
    for use in (lambda: cache.set(key, 1), lambda: cache.get(key), lambda: cache.delete(key)):
        with pytest.raises(InvalidInput):
            use()


def test_half_a_surrogate_pair_is_no_id(cache: LatentCache) -> None:
    """As a command line has it that is not UTF-8."""
    store = cache.store
    looks = (
        lambda: cache.keys("\udcff"),
        lambda: store.get("\udcff"),
        lambda: store.leaves("\udcff"),
        lambda: store.resolve("\udcff", "1-a"),
        lambda: store.purge("\udcff"),
    )
    for look in looks:
        with pytest.raises(InvalidInput, match="text"):
            look()


def test_what_is_deleted_in_conflict_is_gone(cache: LatentCache) -> None:
    """No other version comes up from below."""
    cache.set("k", "mine")
    cache.store.write_revisions([{"_id": "k", "_rev": "1-0", "value": "theirs"}])
    assert cache.store.conflicts() == ["k"]
    assert cache.delete("k")
    assert (cache.get("k"), cache.keys(), cache.store.conflicts()) == (None, [], [])
    assert [deleted for _, deleted in cache.store.leaves("k")] == [True, True]


def test_a_fork_counts_no_look_twice(cache: LatentCache) -> None:
    cache.set("k", 1)
    cache.get("k")
    child = os.fork()
    if not child:
        try:
            cache.get("k")
            cache.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.cache_hits == 2


def test_each_method_by_example(cache: LatentCache, clock: Clock) -> None:
    cache.set("a:1", [1, None])
    cache.set("a:2", 7)
    cache.set("a:2", "seven", ttl=10)
    cache.set("_b", {"value": 1})
    assert (cache.get("a:1"), cache.get("a:2"), cache.get("_b")) == (
        [1, None],
        "seven",
        {"value": 1},
    )
    assert (cache.keys("a:"), cache.keys()) == (["a:1", "a:2"], ["_b", "a:1", "a:2"])
    assert cache.delete("a:1")
    clock.now += 10
    assert (cache.get("a:1"), cache.get("a:2"), cache.get("c")) == (None, None, None)
    assert (cache.cache_hits, cache.cache_misses) == (3, 3)
    assert not cache.delete("a:2")


def test_a_document_of_somebody_else_is_its_own_value(cache: LatentCache) -> None:
    cache.store.put({"_id": "note", "text": "from a browser", "n": 1})
    assert cache.get("note") == {"text": "from a browser", "n": 1}
    cache.set("note", "mine")
    assert cache.get("note") == "mine"


def test_another_process_finds_values_looks_and_what_waits(tmp_path: Path) -> None:
    with LatentCache(tmp_path) as first:
        first.set_online(False)
        first.set("k", 1)
        first.delete("k")
        first.set("l", 2)
        first.get("k"), first.get("l")
    with LatentCache(str(tmp_path)) as second:
        assert [(one.kind, one.key) for one in second.queue] == [("delete", "k"), ("set", "l")]
        assert (second.cache_hits, second.cache_misses, second.get("l")) == (1, 1, 2)
        assert second.sync() == 2
    assert LatentCache(tmp_path).queue == []


def test_online_without_a_remote_nothing_waits(cache: LatentCache) -> None:
    cache.set("a", 1)
    assert cache.queue == []
    cache.set_online(False)
    cache.set_online(True)  # nothing was done meanwhile
    cache.set("b", 1)
    assert (cache.queue, cache.sync()) == ([], 0)


def test_a_remote_is_brought_what_waits(cache: LatentCache, stores: Any) -> None:
    """And what comes from there does not wait to be brought back."""
    there: DocumentStore = stores("there")
    there.put({"_id": "theirs", "value": 1})
    calls = []

    def exchange(store: DocumentStore) -> None:
        calls.append(store)
        for source, target in ((store, there), (there, store)):
            for change in source.changes():
                target.write_revisions(source.open_revs(change.id, None))

    cache.remote = exchange
    cache.set("mine", 2)
    assert [one.key for one in cache.queue] == ["mine"]
    assert cache.sync() == 1
    assert (cache.queue, cache.get("theirs"), there.get("mine")["value"]) == ([], 1, 2)
    assert (cache.sync(), len(calls)) == (0, 2)
    stats = cache.get_stats()
    assert (stats["operations_synced"], stats["operations_queued"]) == (1, 0)


def test_a_remote_that_takes_note_itself_changes_no_count(cache: LatentCache, stores: Any) -> None:
    """As the workspace's does, after the push and before the pull; a conflict waits no more."""
    there: DocumentStore = stores("there")
    there.put({"_id": "split", "value": "theirs"})

    def exchange(store: DocumentStore) -> None:
        for change in store.changes():
            there.write_revisions(store.open_revs(change.id, None))
        cache.mark_synced(store.info()["update_seq"])
        for change in there.changes():
            store.write_revisions(there.open_revs(change.id, None))

    cache.remote = exchange
    cache.set("split", "mine")
    cache.set("mine", 1)
    assert cache.sync() == 2
    assert (cache.store.conflicts(), cache.queue, cache.sync()) == (["split"], [], 0)
    assert cache.get_stats()["operations_synced"] == 2


def test_what_a_remote_does_not_take_goes_on_waiting(cache: LatentCache) -> None:
    def unreachable(_: DocumentStore) -> None:
        raise ConnectionError

    cache.remote = unreachable
    cache.set("k", 1)
    with pytest.raises(ConnectionError):
        cache.sync()
    assert [one.key for one in cache.queue] == ["k"]
    assert cache.get("k") == 1


def test_a_peer_is_synchronised_with_and_what_it_refuses_goes_on_waiting(
    cache: LatentCache, stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: DocumentStore = stores("there")
    there.put({"_id": "theirs", "value": 1})
    cache.remote = LocalPeer(there, "there")
    cache.set("mine", 2)
    assert (cache.sync(), cache.get("theirs"), there.get("mine")["value"]) == (1, 1, 2)
    cache.set("mine", 3)
    write = there.write_revisions

    def refusing(docs: Any, **more: Any) -> Any:
        refused = {"error": "forbidden", "reason": "not here"}
        return [*write([], **more), *({"id": d["_id"], "rev": d["_rev"], **refused} for d in docs)]

    monkeypatch.setattr(there, "write_revisions", refusing)
    with pytest.raises(CacheError, match=r"there: .*'mine' \(not here\)"):
        cache.sync()
    assert [one.key for one in cache.queue] == ["mine"]


def test_what_was_noted_meanwhile_is_not_undone(cache: LatentCache) -> None:
    """Something is written and sent by others while we synchronise."""

    def exchange(_: DocumentStore) -> None:
        cache.set("later", 1)
        cache.mark_synced(cache.store.info()["update_seq"])

    cache.remote = exchange
    cache.set("k", 1)
    assert (cache.sync(), cache.queue) == (1, [])
    assert cache.get_stats()["operations_synced"] == 2


def test_requests_wait_in_the_same_queue(cache: LatentCache, clock: Clock) -> None:
    receipt = cache.requests.put("info", "ada", Request("POST", "/"), authorised=True)
    (operation,) = cache.queue
    assert (operation.kind, operation.key) == ("request", receipt.id)
    assert cache.sync() == 0  # their own sender asks the gates
    cache.requests.done(receipt.id, "me", status=200)
    assert (cache.queue, cache.get_stats()["operations_synced"]) == ([], 1)


def test_the_metrics_are_told_what_was_kept_and_what_was_lost(
    cache: LatentCache, clock: Clock
) -> None:
    ids = [
        cache.requests.put("info", "ada", Request("POST", f"/{n}"), authorised=True).id
        for n in range(3)
    ]
    cache.set_online(False)
    cache.set("k", 1)
    cache.get("k"), cache.get("l")
    cache.requests.done(ids[0], "me", status=200)
    cache.requests.give_up(ids[1], "refused")
    metrics = MetricsCollector()
    metrics.integrate(latent_cache=cache)
    metrics.update_all()
    # Sent, and two that wait; one is lost.
    assert metrics.gauges["latency_tolerance"].current_value == 75.0
    shown = {f.name: [s.value for s in f.samples] for f in metrics.families()}
    assert shown["dino_cache_reads_total"] == [1.0, 1.0]
    assert shown["dino_cache_queue_operations"] == [2]
    stats = cache.get_stats()
    assert (stats["hit_rate"], stats["entries"], stats["operations_lost"]) == (0.5, 1, 1)


def test_being_offline_can_be_rehearsed(cache: LatentCache) -> None:
    cache.set("k", 1)
    assert cache.simulate_offline_period(3600)
    assert (cache.keys(), cache.queue) == (["k"], [])
    for seconds in (-5, float("nan"), float("inf"), 1e9, "1"):
        with pytest.raises(InvalidInput, match="seconds"):
            cache.simulate_offline_period(seconds)


def test_looks_are_written_down_now_and_then(tmp_path: Path) -> None:
    cache = LatentCache(store=DocumentStore(tmp_path / "a.db", Journal(tmp_path / "a.jsonl")))
    cache.set("k", 1)
    for _ in range(1000):
        cache.get("k")
    assert LatentCache(store=DocumentStore(tmp_path / "a.db")).cache_hits == 1000
    assert cache.cache_hits == 1000
