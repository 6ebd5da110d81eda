"""The approximate index: what it finds, when it is not used, and that it can be forgotten."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.vectors import VectorIndex, graph
from tests.memory_layer.test_vectors_files import cut, empty, nonsense
from tests.memory_layer.vectors_kit import Started, Vectors, check_same, clustered

DIM = 16
MATRIX = clustered(1500, DIM)
QUERIES = clustered(1500, DIM)[::150] + 0.05


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    made = Vectors(tmp_path / "store.db")
    made.put_all(MATRIX)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "indexes"


@pytest.fixture
def index(vectors: Vectors, folder: Path) -> VectorIndex:
    """One with a graph of them."""
    made = approximate(folder)
    made.build(vectors)
    return made


def approximate(folder: Path) -> VectorIndex:
    return VectorIndex(folder, "words", DIM, approximate=True)


def file_in(folder: Path) -> Path:
    (found,) = folder.glob("*.graph")
    return found


def check_finds(vectors: Vectors, index: VectorIndex) -> None:
    """At least 95 % of what counting finds, with the very same scores."""
    found = there = 0
    for query in QUERIES:
        expected = dict(vectors.nearest(query, 2000))
        hits = index.search(vectors, query, 10)
        assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))
        assert all(expected[entry] == score for entry, score in hits)
        found += len({entry for entry, _ in hits} & {*[*expected][:10]})
        there += 10
    assert found >= 0.95 * there


def check_exact(vectors: Vectors, index: VectorIndex, why: str) -> None:
    for query in QUERIES[:3]:
        check_same(index.search(vectors, query, 10), vectors.nearest(query, 10))
    said = index.status()
    assert said["kind"] == "exact"
    assert why in said["why"]


def test_it_finds_nearly_all_and_says_how_much(vectors: Vectors, index: VectorIndex) -> None:
    """In another process too; with few allowed, or more asked for than it is good for, it counts."""
    for part in (index, approximate(index._kept.file.parent)):
        check_finds(vectors, part)
        said = part.status()
        assert (said["kind"], said["why"]) == ("approximate", None)
        assert 0.95 <= said["recall"] <= 1
        few = list(range(1, 40))
        check_same(
            part.search(vectors, QUERIES[0], 10, allowed=np.array(few)),
            vectors.nearest(QUERIES[0], 10, few),
        )
        check_same(part.search(vectors, QUERIES[0], 900), vectors.nearest(QUERIES[0], 900))
        assert part.check() == []


def test_building_tells_how_far_it_is(vectors: Vectors, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    approximate(folder).build(vectors, lambda done, count: told.append((done, count)))
    assert (told[0], told[-1]) == ((0, 1500), (1500, 1500))
    assert told == sorted(told)


def test_what_changes_is_found_without_building_again(
    vectors: Vectors, index: VectorIndex, folder: Path
) -> None:
    """In memory, in a snapshot written since, and what is no more is not found."""
    for entry in range(1, 100):
        vectors.drop(entry)
    vectors.put_all(clustered(100, DIM, 7), first=2000)
    for part in (index, approximate(folder)):
        check_finds(vectors, part)
    VectorIndex(folder, "words", DIM).build(vectors)
    for part in (index, approximate(folder)):
        check_finds(vectors, part)
        assert (part.status()["kind"], part.status()["newer"]) == ("approximate", 0)
        assert part.search(vectors, clustered(100, DIM, 7)[50], 1)[0][0] == 2050
    vectors.put_all(clustered(200, DIM, 8), first=3000)
    check_exact(vectors, index, "399 vectors have changed since the graph was built")


def test_before_it_is_built_all_are_counted(vectors: Vectors, folder: Path) -> None:
    check_exact(vectors, approximate(folder), "no graph has been built")


def test_nothing_can_be_built_of_nothing(folder: Path) -> None:
    with contextlib.closing(Vectors()) as vectors:
        index = approximate(folder)
        index.build(vectors)
        assert index.search(vectors, QUERIES[0], 3) == []
        assert index.check() == []


def test_a_graph_that_finds_too_few_is_not_used(
    vectors: Vectors, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor kept, but that it was so."""
    whole = graph.Graph.nearest
    monkeypatch.setattr(graph.Graph, "nearest", lambda *args: whole(*args)[::4])
    index = approximate(folder)
    index.build(vectors)
    monkeypatch.undo()
    for part in (index, approximate(folder)):
        check_exact(vectors, part, "of the nearest, and 95% is the least")
        assert 0 < part.status()["recall"] < 0.95
        assert part.check() == []
    assert file_in(folder).stat().st_size == 4096


def test_without_usearch_all_are_counted(
    vectors: Vectors, index: VectorIndex, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How to get it is said; removing from the graph does not need it."""
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    without = approximate(folder)
    check_exact(vectors, without, "pip install 'dino-os[ann]'")
    with pytest.raises(MemoryLayerError, match="needs usearch") as refused:
        without.build(vectors)
    assert refused.value.hint == "pip install 'dino-os[ann]'"
    vectors.drop(9)
    without.catch_up(vectors)
    assert half(9) not in file_in(folder).read_bytes()


def half(entry: int) -> bytes:
    return MATRIX[entry - 1].astype(np.float16).tobytes()


def flip(at: int) -> Callable[[Path], None]:
    """Another bit at that byte, from the end where it is below 0."""

    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 0x10
        file.write_bytes(content)

    return damage


GRAPH = 8 + 1500 * DIM * 2


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flip(0), id="rows"),
        pytest.param(flip(GRAPH + 3), id="usearch-header"),
        pytest.param(flip(GRAPH + 5000), id="graph"),
        pytest.param(flip(-4096 - 50), id="sums"),
        pytest.param(flip(-4096), id="magic"),
        pytest.param(flip(-4096 + 20), id="count"),
        pytest.param(flip(-4096 + 40), id="size"),
        cut,
        empty,
        nonsense,
    ],
)
def test_a_broken_graph_is_not_believed(
    vectors: Vectors, index: VectorIndex, folder: Path, damage: Callable[[Path], None]
) -> None:
    """Usearch never reads it; building makes it good again, removing takes it away."""
    damage(file_in(folder))
    fresh = approximate(folder)
    assert len(fresh.check()) == 1
    check_exact(vectors, fresh, "the graph is not believed")
    fresh.build(vectors)
    assert (fresh.check(), fresh.status()["kind"]) == ([], "approximate")
    damage(file_in(folder))
    vectors.drop(5)
    approximate(folder).catch_up(vectors)
    assert [path.suffix for path in folder.iterdir() if path.suffix == ".graph"] == []


def test_a_broken_vector_of_the_graph_is_seen_by_the_check(
    vectors: Vectors, index: VectorIndex, folder: Path
) -> None:
    """What is answered is counted from the snapshot, whatever the graph says."""
    flip(8 + 32 * 700 + 1)(file_in(folder))
    fresh = approximate(folder)
    assert "1 of its vectors are not what was written" in fresh.check()[0]
    check_finds(vectors, fresh)


def test_what_is_removed_is_nowhere_in_the_graph(vectors: Vectors, folder: Path) -> None:
    """A vector that two entries have goes when both are gone; an index that counts does it too."""
    vectors.put(2000, MATRIX[9])
    index = approximate(folder)
    index.build(vectors)
    assert half(10) in file_in(folder).read_bytes()
    for entry in (3, 4, 10):
        vectors.drop(entry)
    VectorIndex(folder, "words", DIM).catch_up(vectors)
    content = file_in(folder).read_bytes()
    assert [half(entry) in content for entry in (3, 4, 5, 10)] == [False, False, True, True]
    vectors.drop(2000)
    check_finds(vectors, index)
    assert half(10) not in file_in(folder).read_bytes()
    assert (index.check(), index.status()["kind"]) == ([], "approximate")


def test_a_graph_without_its_snapshot_goes_too(
    vectors: Vectors, index: VectorIndex, folder: Path
) -> None:
    """Nobody could say any more which of its vectors are to be overwritten."""
    (snapshot,) = folder.glob("*.vectors")
    snapshot.unlink()
    vectors.drop(1)
    check_exact(vectors, approximate(folder), "no graph has been built")
    index.build(vectors)
    index.erase()
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


BUILD = """
def stop(done, count):
    if done:
        print("building", flush=True)
        sys.stdin.read()
VectorIndex(folder / "indexes", "words", 16, approximate=True).build(vectors, stop)
"""


def test_killed_while_it_builds_the_one_before_serves(
    vectors: Vectors, index: VectorIndex, folder: Path, programs: Started
) -> None:
    """What is removed meanwhile is overwritten by whoever comes next."""

    before = file_in(folder).read_bytes()
    builder = programs(BUILD)
    assert builder.stdout.readline() == "building\n", builder.communicate()
    vectors.drop(11)
    check_finds(vectors, index)
    assert file_in(folder).read_bytes() == before
    assert "busy" in index.status()["why"]
    builder.kill()
    builder.communicate()
    check_finds(vectors, index)
    assert half(11) not in file_in(folder).read_bytes()
    assert (index.check(), index.status()["why"]) == ([], None)
