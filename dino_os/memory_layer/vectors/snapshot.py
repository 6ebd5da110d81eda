"""
The file of vectors: a header, the matrix, and tables of whose each row is; mapped, not read.

    page 0     magic, format, dim, count, the position (n, r) it stands for, SHA-256 of all but rows
    page 1 …   count rows of dim float32, little-endian
    tables     ids and ns (int64), and a CRC-32 of each row (uint32)

What is in the digest is checked when it is opened; a row is checked by its CRC before it is
answered with, and all of them by `check`.  A row of zeros is a vector that is no more: it is
overwritten in place, and everybody who has the file mapped sees it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dino_os.memory_layer.vectors.files import Identity, draft, mapped_file, zero
from dino_os.memory_layer.vectors.rows import Rows, Unsound
from dino_os.memory_layer.vectors.source import Floats, Source, batches
from engines.durable import write_all

_MAGIC = b"dino-vec"
_FORMAT = 1
_HEADER = struct.Struct("<8sIIQQQ32s")
_PAGE = 4096
_AT_ONCE = 4096

Sums = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    The file at *path*, as it was when it was opened: *rows* for the position (n, r).

    Attributes:
        size: In bytes.
    """

    path: Path
    identity: Identity
    rows: Rows
    sums: Sums
    n: int
    r: int
    size: int

    def verify(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """
        Those of *rows* that have been overwritten since.

        Raises:
            Unsound: One has not been, and is not what was written.
        """
        for _ in range(2):  # one may be half overwritten just now
            found = self.rows.matrix[rows]
            zeroed = ~found.any(axis=1)
            bad = (sums_of(found) != self.sums[rows]) & ~zeroed
            if not bad.any():
                return rows[zeroed]
        raise Unsound(f"{int(np.count_nonzero(bad))} of its rows are not what was written")

    def overwrite(self, rows: NDArray[np.int64]) -> None:
        """Make *rows* zeros, in the file; under the lock, and the file is still this one."""
        fd = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            length = 4 * self.rows.matrix.shape[1]
            zero(fd, [_PAGE + int(row) * length for row in rows], length)
        finally:
            os.close(fd)


def sums_of(matrix: NDArray[Any]) -> Sums:
    """The CRC-32 of each row's bytes."""
    width = matrix.shape[1] * matrix.itemsize
    data = memoryview(matrix.tobytes())
    return np.fromiter(
        (crc32(data[at : at + width]) for at in range(0, len(data), width)), np.uint32, len(matrix)
    )


def write_snapshot(path: Path, name: str, dim: int, source: Source) -> None:
    """
    Make *path* hold the vectors of *source*.  Under the lock.

    Raises:
        OSError: The disk did not take it; *path* is what it was.
        MemoryLayerError: A vector cannot be one.
    """
    n, r = source.position()
    ids, ns, sums = list[bytes](), list[bytes](), list[bytes]()
    with batches(source, 0, dim) as found, draft(path) as (_, fd):
        os.lseek(fd, _PAGE, os.SEEK_SET)
        count = 0
        for batch in found:
            write_all(fd, batch.matrix.astype("<f4", copy=False).tobytes())
            ids.append(batch.ids.tobytes())
            ns.append(batch.ns.tobytes())
            sums.append(sums_of(batch.matrix).tobytes())
            count += len(batch.ids)
        os.ftruncate(fd, _tables_at(count, dim))
        os.lseek(fd, 0, os.SEEK_END)
        table = b"".join([*ids, *ns, *sums])
        write_all(fd, table)
        digest = _digest(name, (_FORMAT, dim, count, n, r), table)
        os.pwrite(fd, _HEADER.pack(_MAGIC, _FORMAT, dim, count, n, r, digest), 0)


def open_snapshot(path: Path, name: str, dim: int) -> Snapshot | None:
    """
    The file at *path*; None where there is none.

    Raises:
        Unsound: It is not what was written, or not of the vectors of *name*.
        OSError: It cannot be read.
    """
    if (found := mapped_file(path, _PAGE)) is None:
        return None
    mapped, identity = found
    magic, form, its_dim, count, n, r, digest = _HEADER.unpack_from(mapped)
    if magic != _MAGIC or form != _FORMAT or its_dim != dim:
        raise Unsound("it is no file of such vectors")
    tables_at = _tables_at(count, dim)
    if len(mapped) != tables_at + count * 20:
        raise Unsound("it is too short or too long")
    table = memoryview(mapped)[tables_at:]
    if digest != _digest(name, (form, dim, count, n, r), table):
        raise Unsound("its tables are not what was written, or those of another model")
    with contextlib.suppress(OSError, ValueError):  # it only tells what comes next
        mapped.madvise(mmap.MADV_WILLNEED)
    rows = Rows(
        np.frombuffer(table, "<i8", count),
        np.frombuffer(table, "<i8", count, 8 * count),
        _matrix(mapped, count, dim),
    )
    sums = np.frombuffer(table, "<u4", count, 16 * count)
    return Snapshot(path, identity, rows, sums, n, r, len(mapped))


def check_snapshot(path: Path, name: str, dim: int) -> list[str]:
    """What is wrong with the file at *path*, if there is one; all of it is read."""
    try:
        if snapshot := open_snapshot(path, name, dim):
            count = len(snapshot.rows)
            for at in range(0, count, _AT_ONCE):
                snapshot.verify(np.arange(at, min(at + _AT_ONCE, count)))
    except (Unsound, OSError) as error:
        return [f"{path}: {error}"]
    return []


def _matrix(mapped: mmap.mmap, count: int, dim: int) -> Floats:
    return np.frombuffer(mapped, "<f4", count * dim, _PAGE).reshape(count, dim)


def _tables_at(count: int, dim: int) -> int:
    return _PAGE + -(-count * dim * 4 // 8) * 8  # the tables are of eight bytes each


def _digest(name: str, numbers: tuple[int, ...], table: bytes | memoryview) -> bytes:
    digest = sha256(repr((name, *numbers)).encode(errors="surrogatepass"))
    digest.update(table)
    return digest.digest()
