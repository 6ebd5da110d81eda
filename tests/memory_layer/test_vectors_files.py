"""The files of the index of vectors: broken, stale, killed, shared, forgotten."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.vectors import VectorIndex, snapshot
from dino_os.process_lock import Busy
from tests.memory_layer.vectors_kit import Started, Vectors, check_same, clustered

DIM = 16
MATRIX = clustered(800, DIM)
QUERY = clustered(1, DIM, 5)[0]


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    """More than are kept in memory, so that there will be a file."""
    made = Vectors(tmp_path / "store.db")
    made.put_all(MATRIX)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "indexes"


@pytest.fixture
def file(vectors: Vectors, folder: Path) -> Path:
    """The file, as it is written for them."""
    VectorIndex(folder, "words", DIM).search(vectors, QUERY, 1)
    return file_in(folder)


def file_in(folder: Path, suffix: str = ".vectors") -> Path:
    (found,) = folder.glob(f"*{suffix}")
    return found


def check_found(vectors: Vectors, index: VectorIndex, k: int = 20) -> None:
    check_same(index.search(vectors, QUERY, k), vectors.nearest(QUERY, k))


def flip(at: float) -> Callable[[Path], None]:
    """Another bit, so far into the file."""

    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(at * (len(content) - 1))] ^= 0x40
        file.write_bytes(content)

    return damage


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def nonsense(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(9000))


def of_another(file: Path) -> None:
    """A whole one, of another model of the same size."""
    with contextlib.closing(Vectors()) as others:
        others.put_all(clustered(900, DIM, 8))
        VectorIndex(file.parent / "other", "others", DIM).search(others, QUERY, 1)
    file_in(file.parent / "other").replace(file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flip(0.0), id="magic"),
        pytest.param(flip(9 / 68_000), id="format"),
        pytest.param(flip(0.9), id="ids"),
        pytest.param(flip(0.96), id="numbers"),
        pytest.param(flip(1.0), id="sums"),
        cut,
        lengthen,
        empty,
        nonsense,
        of_another,
    ],
)
def test_a_broken_file_is_not_believed(
    vectors: Vectors, folder: Path, file: Path, damage: Callable[[Path], None]
) -> None:
    """It is found by its tables alone, said, and written anew by whoever may write."""
    damage(file)
    broken = file.read_bytes()
    reader = VectorIndex(folder, "words", DIM, read_only=True)
    assert len(reader.check()) == 1
    check_found(vectors, reader)
    assert file.read_bytes() == broken
    assert "not believed" in reader.status()["why"]
    check_found(vectors, VectorIndex(folder, "words", DIM))
    assert reader.check() == []
    check_found(vectors, reader)
    assert reader.status()["why"] is None


@pytest.mark.parametrize("what", ["flipped", "nan", "infinite"])
def test_a_broken_row_is_never_answered_with(
    vectors: Vectors, folder: Path, file: Path, what: str
) -> None:
    """The row that is searched for is broken in the file: it is found all the same."""
    best = vectors.nearest(QUERY, 1)[0][0]
    content = bytearray(file.read_bytes())
    value = {"flipped": 9.0, "nan": np.nan, "infinite": np.inf}[what]
    at = 4096 + (best - 1) * DIM * 4
    content[at : at + 4] = np.array([value * np.sign(QUERY[0])], "<f4").tobytes()
    file.write_bytes(content)
    index = VectorIndex(folder, "words", DIM)
    assert "1 of its rows" in index.check()[0]
    check_found(vectors, index)
    assert index.check() == []


def test_a_file_that_cannot_be_replaced_is_done_without(
    vectors: Vectors, folder: Path, file: Path
) -> None:
    """All is in memory then, and it is said."""
    a_folder(file)
    index = VectorIndex(folder, "words", DIM)
    for _ in range(2):
        check_found(vectors, index)
    assert "not written" in index.status()["why"]


def test_a_full_disk_is_no_reason_not_to_find(
    vectors: Vectors, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was half written is gone, and it is not tried at every search."""
    tried = []

    def full(fd: int, data: bytes) -> None:
        tried.append(len(data))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    index = VectorIndex(folder, "words", DIM)
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "write_all", full)
        for _ in range(3):
            check_found(vectors, index)
        assert len(tried) == 1
        assert "No space left" in index.status()["why"]
        assert [path.suffix for path in folder.iterdir()] == [".lock"]
        with pytest.raises(OSError, match="No space left"):
            index.build(vectors)
    index.build(vectors)
    assert index.check() == []
    check_found(vectors, index)


def test_the_file_is_written_anew_only_when_much_is_newer(
    vectors: Vectors, folder: Path, file: Path
) -> None:
    """Till then every process keeps it in memory."""
    before = file.read_bytes()
    vectors.put_all(clustered(450, DIM, 3), first=1000)
    index = VectorIndex(folder, "words", DIM)
    check_found(vectors, index)
    assert (file.read_bytes(), index.status()["newer"]) == (before, 450)
    vectors.put_all(clustered(60, DIM, 4), first=1450)
    other = VectorIndex(folder, "words", DIM, read_only=True)
    check_found(vectors, other)
    check_found(vectors, index)
    check_found(vectors, other)
    assert [part.status()["newer"] for part in (index, other)] == [0, 0]
    assert len(file.read_bytes()) > len(before)


def test_what_is_removed_is_nowhere_on_disk(vectors: Vectors, folder: Path, file: Path) -> None:
    """Overwritten in place; who has the file mapped does not find it either."""
    other = VectorIndex(folder, "words", DIM)
    check_found(vectors, other)
    best = [entry for entry, _ in vectors.nearest(QUERY, 3)]
    for entry in best:
        vectors.drop(entry)
    vectors.put(best[0], MATRIX[best[0] - 1] * -1)
    index, inode = VectorIndex(folder, "words", DIM), file.stat().st_ino
    index.catch_up(vectors)
    content = file.read_bytes()
    assert not any(MATRIX[entry - 1].tobytes() in content for entry in best)
    assert MATRIX[0].tobytes() in content
    assert file.stat().st_ino == inode
    for part in (index, other, VectorIndex(folder, "words", DIM)):
        assert part.check() == []
        check_found(vectors, part)


def test_what_another_removed_is_not_found_by_who_does_not_know_yet(
    vectors: Vectors, folder: Path, file: Path
) -> None:
    """A search in an earlier transaction goes without it, and still answers with as many."""

    class Earlier(Vectors):
        def position(self) -> tuple[int, int]:
            return 800, 0

    with contextlib.closing(Earlier(folder.parent / "store.db")) as earlier:
        behind = VectorIndex(folder, "words", DIM)
        behind.search(earlier, QUERY, 1)
        vectors.drop(vectors.nearest(QUERY, 1)[0][0])
        VectorIndex(folder, "words", DIM).catch_up(vectors)
        for k in (800, 5):
            check_same(behind.search(earlier, QUERY, k), vectors.nearest(QUERY, k))


def test_what_is_removed_while_another_writes_it_is_nowhere_on_disk(
    vectors: Vectors, folder: Path, programs: Started
) -> None:
    """Who removes waits for who still has it, and then takes it away."""
    writer = programs(STUCK)
    assert writer.stdout.readline() == "nearly\n", writer.communicate()
    vectors.drop(790)
    index = VectorIndex(folder, "words", DIM)
    with pytest.raises(Busy):
        index.catch_up(vectors)
    writer.communicate("go on")
    assert MATRIX[789].tobytes() in file_in(folder).read_bytes()
    index.catch_up(vectors)
    assert MATRIX[789].tobytes() not in file_in(folder).read_bytes()
    check_found(vectors, index)


def test_what_was_removed_is_not_in_the_drafts_of_the_dead(
    vectors: Vectors, folder: Path, file: Path
) -> None:
    draft = file.with_name(f".{file.name}.99999.tmp")
    draft.write_bytes(MATRIX.tobytes())
    VectorIndex(folder, "words", DIM).catch_up(vectors)
    assert not draft.exists()


def test_erased_is_gone_from_disk_and_from_others(
    vectors: Vectors, folder: Path, file: Path
) -> None:
    """The drafts of those that were killed too; the next search makes it again."""
    other = VectorIndex(folder, "words", DIM)
    check_found(vectors, other)
    held = file.open("rb")  # what is overwritten is seen by who had it open
    file.with_name(f".{file.name}.99999.tmp").write_bytes(MATRIX.tobytes())
    VectorIndex(folder, "words", DIM).erase()
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    with held:
        assert not held.read().strip(b"\0")
    for entry in range(1, 801):
        vectors.drop(entry)
    vectors.put(7, QUERY)
    assert [entry for entry, _ in other.search(vectors, QUERY, 5)] == [7]


@pytest.mark.parametrize("act", ["erase", "build", "catch_up"])
def test_what_is_read_only_writes_nothing(vectors: Vectors, folder: Path, act: str) -> None:
    """Not even a folder; what would write is refused."""
    index = VectorIndex(folder, "words", DIM, read_only=True)
    check_found(vectors, index)
    with pytest.raises(MemoryLayerError, match="read only"):
        getattr(index, act)(*([] if act == "erase" else [vectors]))
    assert not folder.exists()


# All but the last of the file is written, and then nothing happens until it is told.
STUCK = """
class Stuck(Vectors):
    def since(self, n):
        for number, row in enumerate(super().since(n)):
            yield row
            if number == 799 and not sys.stdin.closed:
                print("nearly", flush=True)
                sys.stdin.read()
                sys.stdin.close()
from dino_os.memory_layer.vectors import source
source._AT_ONCE = 100
index.search(Stuck(folder / "store.db"), query, 1)
"""


def test_killed_while_it_writes_it_leaves_what_was_there(
    vectors: Vectors, folder: Path, programs: Started
) -> None:
    """While it is at it others go on in memory; afterwards the next one writes, and clears up."""
    writer = programs(STUCK)
    assert writer.stdout.readline() == "nearly\n", writer.communicate()
    index = VectorIndex(folder, "words", DIM)
    check_found(vectors, index)
    assert "busy: the memory" in index.status()["why"]
    with pytest.raises(Busy):
        index.build(vectors)
    writer.kill()
    writer.communicate()
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".tmp"]
    check_found(vectors, index)
    assert sorted(path.suffix for path in folder.iterdir()) == [".lock", ".vectors"]
    assert (index.check(), index.status()["why"]) == ([], None)


# Puts and drops its own entries, and finds what it just put.
WORKER = """
import numpy as np
mine = int(sys.argv[2]) * 10_000
for number, vector in enumerate(clustered(700, 16, mine), mine):
    vectors.put(number, vector)
    if number % 5 == 4:
        vectors.drop(number - 2)
    if number % 20 == 0:
        vectors.db.execute("BEGIN")  # a source is of one moment
        found = index.search(vectors, vector, 3, allowed=np.array([number, number - 3]))
        vectors.db.execute("COMMIT")
        assert found[0][0] == number and abs(found[0][1] - 1) < 1e-6, found
        assert all(entry % 5 != 2 or entry == number for entry, _ in found), found
print("done")
"""


def test_processes_share_the_files(tmp_path: Path, folder: Path, programs: Started) -> None:
    """Each sees its own changes at once, and in the end all see all."""
    with contextlib.closing(Vectors(tmp_path / "store.db")) as vectors:
        workers = [programs(WORKER, number) for number in (1, 2, 3)]
        for worker in workers:
            assert worker.communicate() == ("done\n", "")
        index = VectorIndex(folder, "words", DIM)
        check_found(vectors, index, 2000)
        assert index.status()["vectors"] == 3 * 560
        assert index.check() == []
        dropped = [row for w in (1, 2, 3) for row in clustered(700, DIM, w * 10_000)[2::5]]
        content = file_in(folder).read_bytes()
        assert not any(vector.tobytes() in content for vector in dropped)
