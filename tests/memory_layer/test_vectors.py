"""The laws of the index of vectors, against all of them counted one by one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer.vectors import VectorIndex, kept, source
from tests.conftest import REPOSITORY
from tests.memory_layer.vectors_kit import Vectors, check_same, clustered

DIM = 4
# Few directions, so that there are equal vectors, opposite ones, and none.
COMPONENTS = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM).map(
    lambda numbers: np.array(numbers, np.float32)
)
ENTRIES = st.integers(1, 12)
DIRECTIONS = COMPONENTS.filter(lambda vector: bool(vector.any()))
SEARCH = st.tuples(
    st.just("search"),
    DIRECTIONS,
    st.integers(1, 15),
    st.none() | st.lists(ENTRIES, max_size=8),
    st.integers(0, 2),
)
CHANGES = st.one_of(
    st.tuples(st.just("put"), ENTRIES, COMPONENTS),
    st.tuples(st.just("drop"), ENTRIES),
    st.tuples(st.just("build"), st.integers(0, 1)),
    st.tuples(st.just("reopen"), st.integers(0, 2)),
    SEARCH,
)


@pytest.fixture
def vectors() -> Iterator[Vectors]:
    made = Vectors()
    yield made
    made.close()


@pytest.fixture
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written for a handful of vectors, too."""
    monkeypatch.setattr(kept, "_FEWEST_NEWER", 3)


@given(changes=st.lists(CHANGES, max_size=40), last=SEARCH)
@settings(
    max_examples=45,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.usefixtures("_small_files")
def test_it_finds_what_counting_finds(changes: list, last: tuple) -> None:
    """Three indexes on one folder, one of them read only, whatever happens in between."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = Vectors()
        indexes = [index_in(Path(folder), number) for number in range(3)]
        for kind, *arguments in [*changes, last]:
            if kind == "put":
                vectors.put(*arguments)
            elif kind == "drop":
                vectors.drop(*arguments)
            elif kind == "build":
                indexes[arguments[0]].build(vectors)
            elif kind == "reopen":
                indexes[arguments[0]] = index_in(Path(folder), arguments[0])
            else:
                query, k, allowed, number = arguments
                among = None if allowed is None else np.array(allowed, np.int64)
                found = indexes[number].search(vectors, query, k, allowed=among)
                check_same(found, vectors.nearest(query, k, allowed))
        assert indexes[0].check() == []
        vectors.close()


def index_in(folder: Path, number: int) -> VectorIndex:
    return VectorIndex(folder, "words", DIM, read_only=number == 2)


def test_equal_vectors_are_in_the_order_of_their_entries(vectors: Vectors, tmp_path: Path) -> None:
    """Wherever each stands: in the file or beside it, in a part of any size."""
    matrix = clustered(700, 33)
    for entry in range(900, 0, -1):
        vectors.put(entry, matrix[17] if entry % 3 == 0 else matrix[entry % 700])
    index = VectorIndex(tmp_path, "words", 33)
    index.build(vectors)
    for entry in (3, 6, 300, 898):
        vectors.put(entry, matrix[17])
    found = index.search(vectors, matrix[17], 302)
    same = sorted({*range(3, 901, 3), 17, 717, 898})
    assert [entry for entry, _ in found] == same[:302]
    assert len({score for _, score in found}) == 1


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_only_entries_that_are_allowed_are_found(
    vectors: Vectors, tmp_path: Path, share: float
) -> None:
    """Few of them, which are gathered, or many, which are passed over."""
    matrix = clustered(1200, 24)
    vectors.put_all(matrix[:1000])
    index = VectorIndex(tmp_path, "words", 24)
    index.build(vectors)
    vectors.put_all(matrix[1000:], first=951)
    allowed = np.random.default_rng(3).choice(1150, int(1150 * share), replace=False) + 1
    twice = np.concatenate([allowed, allowed, [10**12]])
    for query in matrix[::300]:
        check_same(
            index.search(vectors, query, 20, allowed=twice),
            vectors.nearest(query, 20, allowed.tolist()),
        )


def test_more_than_there_are_is_all_there_are(vectors: Vectors, tmp_path: Path) -> None:
    """Worst included; of nothing, nothing."""
    index = VectorIndex(tmp_path, "words", 2)
    assert index.search(vectors, np.array([1.0, 0]), 5) == []
    vectors.put(1, np.array([-1.0, 0]))
    vectors.put(2, np.array([0, 1.0]))
    assert index.search(vectors, np.array([2.0, 0]), 50) == [(2, 0.0), (1, -1.0)]
    assert index.search(vectors, np.array([2.0, 0]), 0) == []
    nobody = np.array([], np.int64)
    assert index.search(vectors, np.array([2.0, 0]), 5, allowed=nobody) == []


@pytest.mark.parametrize("size", [1e-320, 1e-160, 1.0, 1e160, 1e308])
def test_the_length_of_a_query_says_nothing(vectors: Vectors, tmp_path: Path, size: float) -> None:
    """But for 0, which has no direction."""
    vectors.put(1, np.array([1.0, 0]))
    index = VectorIndex(tmp_path, "words", 2)
    assert index.search(vectors, np.array([size, 0]), 1) == [(1, 1.0)]
    assert index.search(vectors, np.array([0.0, 0]), 1) == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param([1.0, float("nan")], id="nan"),
        pytest.param([float("inf"), 0.0], id="infinite"),
        pytest.param([1.0, 0.0, 0.0], id="longer"),
        pytest.param([[1.0, 0.0]], id="two"),
        pytest.param([], id="none"),
    ],
)
def test_a_query_that_is_none_of_the_model_is_refused(
    vectors: Vectors, tmp_path: Path, query: list
) -> None:
    with pytest.raises(InvalidInput, match="the query"):
        VectorIndex(tmp_path, "words", 2).search(vectors, np.array(query), 1)


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(np.array([np.nan, 0], "<f4").tobytes(), id="nan"),
        pytest.param(np.array([np.inf, 0], "<f4").tobytes(), id="infinite"),
        pytest.param(np.array([3e38, 3e38], "<f4").tobytes(), id="too-long"),
        pytest.param(np.array([1, 0, 0], "<f4").tobytes(), id="other-model"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_vector_that_cannot_be_one_is_refused_until_it_is_gone(
    vectors: Vectors, tmp_path: Path, blob: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that helps; those beside it are not counted twice afterwards."""
    monkeypatch.setattr(source, "_AT_ONCE", 1)
    vectors.put(1, np.array([1.0, 0]))
    index = VectorIndex(tmp_path, "words", 2)
    index.search(vectors, np.array([1.0, 0]), 5)
    vectors.put(2, np.array([0.0, 1]))
    vectors.put(3, blob)
    for _ in range(2):
        with pytest.raises(MemoryLayerError, match="vector 3 of the memory") as refused:
            index.search(vectors, np.array([1.0, 0]), 5)
        assert "dino memory reindex" in str(refused.value.hint)
    with pytest.raises(MemoryLayerError, match="vector 3 of the memory"):
        index.build(vectors)
    vectors.drop(3)
    assert index.search(vectors, np.array([1.0, 0]), 5) == [(1, 1.0), (2, 0.0)]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize("count", [800, 20])
@pytest.mark.parametrize("first", [10, 900])
def test_another_stores_past_is_not_believed(tmp_path: Path, count: int, first: int) -> None:
    """A store that was restored from a backup is behind its own index, on disk or in memory."""
    now, backup = Vectors(), Vectors()
    for store, seed in ((now, 1), (backup, 2)):
        store.put_all(clustered(count, 8, seed))
    now.put_all(clustered(10, 8, 3), first=first)
    index = VectorIndex(tmp_path, "words", 8)
    query = clustered(1, 8, 9)[0]
    check_same(index.search(now, query, 5), now.nearest(query, 5))
    for again in (index, VectorIndex(tmp_path, "words", 8)):
        check_same(again.search(backup, query, 5), backup.nearest(query, 5))
    now.close()
    backup.close()


def test_a_store_that_went_on_from_a_backup_is_another_one(tmp_path: Path) -> None:
    """It has as many vectors and more, and other ones under the numbers since."""
    before, after = Vectors(), Vectors()
    for store, seed in ((before, 2), (after, 3)):
        store.put_all(clustered(700, 8))
        store.put_all(clustered(100, 8, seed), first=701)
    VectorIndex(tmp_path, "words", 8).build(before)
    after.put_all(clustered(30, 8, 4), first=801)
    for query in clustered(100, 8, 2)[::30]:
        index = VectorIndex(tmp_path, "words", 8)
        check_same(index.search(after, query, 5), after.nearest(query, 5))
    before.close()
    after.close()


def test_models_do_not_share_files(vectors: Vectors, tmp_path: Path) -> None:
    """Not even those whose names are written alike in a file's name."""
    vectors.put_all(clustered(600, 8))
    names = ["a:b", "a/b", "A b", "../a b", "a\0b", "a\udc00b", "", "x" * 500]
    for name in names:
        index = VectorIndex(tmp_path / "in", name, 8)
        assert len(index.search(vectors, np.ones(8), 3)) == 3
    files = [path for path in (tmp_path / "in").iterdir() if path.suffix == ".vectors"]
    assert len(files) == len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_is_held_is_said(vectors: Vectors, tmp_path: Path) -> None:
    """How many, how they are searched, and what they take, before a search and after."""
    vectors.put_all(clustered(600, 16))
    index = VectorIndex(tmp_path, "words", 16)
    assert index.status()["vectors"] == 0
    index.search(vectors, np.ones(16), 1)
    vectors.put_all(clustered(10, 16), first=591)
    index.search(vectors, np.ones(16), 1)
    said = index.status()
    size = sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix == ".vectors")
    assert said | {"bytes_in_memory": 0, "bytes_per_vector": 0} == {
        "vectors": 600,
        "dim": 16,
        "newer": 10,
        "removed": 10,
        "kind": "exact",
        "recall": None,
        "why": None,
        "bytes_on_disk": size,
        "bytes_in_memory": 0,
        "bytes_mapped": size,
        "bytes_per_vector": 0,
    }
    assert 10 * (64 + 16) <= said["bytes_in_memory"] < 4000
    assert VectorIndex(tmp_path, "words", 16).status()["vectors"] == 600


def test_a_memory_starts_without_numpy() -> None:
    """It is imported by what searches vectors."""
    look = "import sys, dino_os.memory_layer; print({'numpy', 'usearch'} & {*sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
