"""Conflicts: every leaf is kept, and every replica picks the same winner."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.latent_cache import Conflict, DocumentStore, Missing
from engines.latent_cache.tree import Leaf, merge, pack, rank
from tests.latent_cache.conftest import revision


def winner(store: DocumentStore, name: str = "x") -> str:
    return str(store.get(name)["_rev"])


def test_an_edit_of_what_is_no_leaf_is_a_conflict(store: DocumentStore) -> None:
    first = store.put({"_id": "x", "n": 1})
    second = store.put({"_id": "x", "_rev": first, "n": 2})
    for rev in (first, "1-abc", "9-abc"):
        with pytest.raises(Conflict, match="no leaf"):
            store.put({"_id": "x", "_rev": rev, "n": 3})
    with pytest.raises(Conflict, match="no revision was named"):
        store.put({"_id": "x", "n": 3})
    with pytest.raises(Conflict):
        store.put({"_id": "other", "_rev": first})
    assert winner(store) == second


@pytest.mark.parametrize("level", [1, 2])
def test_a_revision_forced_in_beside_another(store: DocumentStore, level: int) -> None:
    """PouchDB: force put on the first level, and on the second."""
    rev = store.put({"_id": "x", "n": 1})
    before = [rev.split("-")[1]] * (level - 1)
    if level == 2:
        rev = store.put({"_id": "x", "_rev": rev, "n": 2})
    store.write_revisions([revision("x", f"{level}-{'f' * 32}", *before, n="forced")])
    assert [leaf for leaf, _ in store.leaves("x")] == [f"{level}-{'f' * 32}", rev]
    assert store.get("x", conflicts=True)["_conflicts"] == [rev]
    assert store.conflicts() == ["x"]


@pytest.mark.parametrize(
    ("revs", "expected"),
    [
        pytest.param(["1-a", "1-b"], "1-b", id="the larger hash"),
        pytest.param(["2-a", "1-b"], "2-a", id="the longer path"),
        pytest.param(["2-a", "3-b!"], "2-a", id="no deletion"),
        pytest.param(["2-a!", "3-b!"], "3-b", id="the longer of two deletions"),
        pytest.param(["2-a!", "2-b!"], "2-b", id="the larger of two deletions"),
        pytest.param(["10-a", "9-b"], "10-a", id="numbers, not digits"),
        pytest.param(["4-a", "4-c", "4-b", "5-z!"], "4-c", id="of four"),
    ],
)
def test_the_winner_is_no_deletion_then_the_longest_then_the_largest(
    stores: Any, revs: list[str], expected: str
) -> None:
    """PouchDB: conflict resolution 1 to 5-c, in either order of arrival."""
    docs = [
        revision("x", rev.rstrip("!"), n=rev, **({"_deleted": True} if "!" in rev else {}))
        for rev in revs
    ]
    for name, order in (("one", docs), ("other", docs[::-1])):
        store = stores(name)
        for doc in order:
            assert store.write_revisions([doc]) == []
        assert store.leaves("x")[0][0] == expected
        assert len(store.leaves("x")) == len(revs)


def test_an_edit_of_a_losing_leaf_returns_its_own_revision(store: DocumentStore) -> None:
    """PouchDB 5832; the winner stays."""
    store.write_revisions([revision("x", "3-c", "b", "a", n=1), revision("x", "2-z", "a", n=2)])
    rev = store.put({"_id": "x", "_rev": "2-z", "n": 3})
    assert rev.startswith("3-")
    assert {leaf for leaf, _ in store.leaves("x")} == {"3-c", rev}


def test_resolving_keeps_one_and_deletes_the_others(store: DocumentStore) -> None:
    store.write_revisions([revision("x", f"2-{end}", "a", n=end) for end in "bcd"])
    assert store.resolve("x", "2-b") == "2-b"
    assert (winner(store), store.conflicts()) == ("2-b", [])
    assert [deleted for _, deleted in store.leaves("x")] == [False, True, True]
    assert [change.revs[0] for change in store.changes()] == ["2-b"]
    for rev in ("2-c", "9-a"):
        with pytest.raises(Missing):
            store.resolve("x", rev)


def test_a_deleted_winner_gives_way_to_the_other_leaf(store: DocumentStore) -> None:
    store.write_revisions([revision("x", "2-c", "a", n="c"), revision("x", "2-b", "a", n="b")])
    store.remove("x", "2-c")
    assert (store.get("x")["n"], store.conflicts()) == ("b", [])
    store.remove("x", "2-b")
    with pytest.raises(Missing) as caught:
        store.get("x")
    assert caught.value.deleted


def test_deep_trees_do_not_recurse(store: DocumentStore) -> None:
    """PouchDB 2543: a long path, and one that leaves it at every revision."""
    path = [f"{n:032x}" for n in range(3000, 0, -1)]
    store.write_revisions([revision("x", f"3000-{path[0]}", *path[1:])])
    branches = [
        revision("x", f"{n + 1}-{'f' * 31}{n % 16:x}", *path[3000 - n :]) for n in range(2100, 2900)
    ]
    assert store.write_revisions(branches) == []
    assert len(store.leaves("x")) == 801
    assert len(store.get("x", revs=True)["_revisions"]["ids"]) == 1000


# --- laws ----------------------------------------------------------------------------------------


@st.composite
def trees(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Revisions of one document: each the first, or following on an earlier one; some deletions."""
    paths: list[list[str]] = []
    docs = []
    for number in range(draw(st.integers(1, 12))):
        parent = draw(st.sampled_from([[], *paths]))
        path = [f"{draw(st.integers(0, 15)):x}{number:031x}", *parent]
        paths.append(path)
        deleted = {"_deleted": True} if draw(st.booleans()) else {}
        docs.append(revision("x", f"{len(path)}-{path[0]}", *path[1:], n=number, **deleted))
    return docs


def naive_leaves(docs: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """What nothing follows on, best first."""
    parents = {doc["_revisions"]["ids"][1] for doc in docs if len(doc["_revisions"]["ids"]) > 1}
    found = [doc for doc in docs if doc["_revisions"]["ids"][0] not in parents]
    keyed = sorted(
        (
            (not d.get("_deleted"), d["_revisions"]["start"], d["_revisions"]["ids"][0])
            for d in found
        ),
        reverse=True,
    )
    return [(f"{pos}-{hash_}", not alive) for alive, pos, hash_ in keyed]


@given(docs=trees(), chance=st.randoms(use_true_random=False), cut=st.integers(1, 5))
@settings(max_examples=18)
def test_whatever_the_order_of_arrival_leaves_and_winner_are_the_same(
    stores: Any, docs: list[dict[str, Any]], chance: random.Random, cut: int
) -> None:
    """Written shuffled, twice, in batches of any size."""
    store: DocumentStore = stores("laws")
    store.purge("x")
    shuffled = [*docs, *docs]
    chance.shuffle(shuffled)
    for at in range(0, len(shuffled), cut):
        assert store.write_revisions(shuffled[at : at + cut]) == []
    expected = naive_leaves(docs)
    assert store.leaves("x") == expected
    assert [doc["_rev"] for doc in store.open_revs("x", None)] == [rev for rev, _ in expected]
    every = {doc["_rev"]: doc for doc in docs}
    for doc in store.open_revs("x", None):
        assert doc == every[doc["_rev"]]
    assert store.revs_diff({"x": list(every)}) == {}
    counted = store.info()
    alive = not expected[0][1]
    assert (counted["doc_count"], counted["doc_del_count"]) == (alive, not alive)


@given(docs=trees(), chance=st.randoms(use_true_random=False))
@settings(max_examples=18)
def test_merging_paths_in_memory_forgets_nothing(
    docs: list[dict[str, Any]], chance: random.Random
) -> None:
    """Each path comes back whole, however short the pieces were in which it came."""
    chance.shuffle(docs)
    leaves: list[Leaf] = []
    for doc in docs:
        ids = doc["_revisions"]["ids"]
        new = Leaf(len(ids), ids[0], pack(ids[1:]), bool(doc.get("_deleted")), None, b"{}")
        leaves = merge(leaves, new, 1000) or leaves
        assert leaves == sorted(leaves, key=rank, reverse=True)
    for doc in docs:
        pos, ids = doc["_revisions"]["start"], doc["_revisions"]["ids"]
        assert all(
            any(leaf.holds(pos - back, hash_) for leaf in leaves) for back, hash_ in enumerate(ids)
        )


def test_a_path_is_stemmed_at_the_limit(stores: Any) -> None:
    store: DocumentStore = stores(revs_limit=3)
    rev = store.put({"_id": "x"})
    revs = [rev]
    for number in range(5):
        revs.append(store.put({"_id": "x", "_rev": revs[-1], "n": number}))
    history = store.get("x", revs=True)["_revisions"]
    assert history == {"start": 6, "ids": [rev.split("-")[1] for rev in revs[:2:-1]]}
    assert store.revs_diff({"x": revs}) == {"x": {"missing": revs[:3]}}


def test_a_path_that_knows_more_of_the_past_is_joined_with_one_that_knows_less(
    stores: Any,
) -> None:
    store: DocumentStore = stores()
    store.write_revisions([revision("x", "5-e", "d")])
    store.write_revisions([revision("x", "5-f", "d", "c", "b", "a")])
    assert store.open_revs("x", ["5-e"])[0]["_revisions"]["ids"] == ["e", "d", "c", "b", "a"]
    store.write_revisions([revision("x", "6-g", "e")])
    assert store.open_revs("x", ["6-g"])[0]["_revisions"]["ids"] == ["g", "e", "d", "c", "b", "a"]
    assert [rev for rev, _ in store.leaves("x")] == ["6-g", "5-f"]
