"""An index that may have no files finds the same as one that has, and writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dino_os.memory_layer.vectors import VectorIndex
from tests.memory_layer.vectors_kit import Vectors, check_same, clustered

DIM = 16
QUERY = clustered(1, DIM, 5)[0]


def test_it_finds_the_same_and_writes_nothing(tmp_path: Path) -> None:
    vectors = Vectors()
    vectors.put_all(clustered(1_500, DIM))
    index = VectorIndex(None, "words", DIM, approximate=True)
    check_same(index.search(vectors, QUERY, 10), vectors.nearest(QUERY, 10))
    for entry in range(1, 1_200):  # most of them: what is gone is let go of
        vectors.drop(entry)
    index.catch_up(vectors)
    check_same(index.search(vectors, QUERY, 10), vectors.nearest(QUERY, 10))
    index.catch_up(vectors)
    found = index.status()
    assert (found["vectors"], found["kind"], found["bytes_on_disk"]) == (301, "exact", 0)
    assert "no files" in found["why"]
    index.build(vectors)
    index.erase()
    check_same(index.search(vectors, QUERY, 3), vectors.nearest(QUERY, 3))
    assert index.check() == []
    assert list(tmp_path.iterdir()) == []
    vectors.close()


def test_an_earlier_moment_of_the_store_is_read_anew() -> None:
    vectors, earlier = Vectors(), Vectors()
    vectors.put_all(clustered(300, DIM))
    vectors.drop(7)
    earlier.put_all(clustered(100, DIM, seed=2))
    index = VectorIndex(None, "words", DIM)
    check_same(index.search(vectors, QUERY, 5), vectors.nearest(QUERY, 5))
    check_same(index.search(earlier, np.array(QUERY), 5), earlier.nearest(QUERY, 5))
    vectors.close()
    earlier.close()
