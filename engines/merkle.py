"""
The Merkle tree over a journal's lines, by RFC 6962: roots, and proofs that need no journal.

    leaf(data)        = SHA-256(0x00 ‖ data)             data: a line's bytes without its newline
    node(left, right) = SHA-256(0x01 ‖ left ‖ right)
    root of n leaves  = node(root of the first k, root of the rest), k the largest power of two < n

Owns the arithmetic and nothing else: where the hashes are kept is `tree`'s business.
A tree is read through *hash_at(level, index)*: the root of the complete subtree of 2^level leaves
that begins at leaf index · 2^level.

Source: RFC 6962 section 2.1; the checks of proofs retrace the recursion that makes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from engines.errors import DinoError

HashAt = Callable[[int, int], bytes]
Subtrees = Sequence[tuple[int, bytes]]
"""Complete subtrees side by side, from left to right: level and root of each."""

Span = tuple[int, int]
"""The leaves of a subtree of RFC 6962's recursion: from the first up to the one behind the last."""

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofInvalid(DinoError):
    """A proof does not show what it claims; the text says how."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hashes(lines: Iterable[bytes]) -> list[bytes]:
    """The leaf hash of each line."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + line).digest() for line in lines]


def fold(hashes: bytes) -> bytes:
    """The root of a complete subtree, of whose hashes on one level *hashes* is the sequence."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_SIZE:
        pairs = range(0, len(hashes), 2 * HASH_SIZE)
        hashes = b"".join([sha256(b"\x01" + hashes[i : i + 2 * HASH_SIZE]).digest() for i in pairs])
    return hashes


def subtrees(begin: int, leaves: bytes) -> Subtrees:
    """The complete subtrees of *leaves*, which stand at leaf *begin* and after, in order."""
    found = []
    for level, index in _complete(begin, begin + len(leaves) // HASH_SIZE):
        at = ((index << level) - begin) * HASH_SIZE
        found.append((level, fold(leaves[at : at + (HASH_SIZE << level)])))
    return found


class RightEdge:
    """All of a tree that is needed to go on with it: the complete subtrees it ends in."""

    def __init__(self, begun: Subtrees = ()) -> None:
        self._subtrees: list[tuple[int, bytes]] = []
        self.extend(begun)

    def extend(self, more: Subtrees) -> None:
        """Add the subtrees of the leaves that follow."""
        for subtree in more:
            level, added = subtree
            while self._subtrees and self._subtrees[-1][0] == level:
                added = node_hash(self._subtrees.pop()[1], added)
                level += 1
            self._subtrees.append((level, added))

    def root(self) -> bytes:
        return _joined([found for _, found in self._subtrees]) if self._subtrees else EMPTY_ROOT


def root(size: int, hash_at: HashAt) -> bytes:
    """The root of the tree's first *size* leaves."""
    return span_root((0, size), hash_at) if size else EMPTY_ROOT


def edge(size: int, hash_at: HashAt) -> Subtrees:
    """The complete subtrees that the tree's first *size* leaves end in."""
    return [(level, hash_at(level, index)) for level, index in _complete(0, size)]


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """
    The hashes that lead from leaf *index* to the root of *size* leaves, lowest first.

    Raises:
        ValueError: There is no such leaf.
    """
    return [span_root(span, hash_at) for span in audit_path(index, size)]


def audit_path(index: int, size: int) -> list[Span]:
    """
    The spans whose roots lead from leaf *index* to the root of *size* leaves, lowest first.

    Raises:
        ValueError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    low, high, found = 0, size, []
    while high - low > 1:
        middle = _split(low, high)
        if index < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return found[::-1]


def span_root(span: Span, hash_at: HashAt) -> bytes:
    """The root over the leaves of *span*."""
    return _joined([hash_at(*subtree) for subtree in _complete(*span)])


def consistency_proof(old: int, new: int, hash_at: HashAt) -> list[bytes]:
    """
    The hashes that show that the tree of *new* leaves begins with that of *old* leaves.

    Raises:
        ValueError: The old tree is larger than the new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not extend one of {old}")
    if old in {0, new}:
        return []
    return _between(old, 0, new, hash_at, whole=True)


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """
    Check that the tree of *size* leaves with that root has *leaf* at *index*.

    Raises:
        ProofInvalid: The proof does not show it.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"leaf {index} cannot be in a tree of {size}")
    path = audit_path(index, size)
    with _steps(proof, leaf, expected_root) as steps:
        hashes = {span: next(steps) for span in path}
    Inclusion(size, expected_root).check(leaf, index, hashes)


class Inclusion:
    """Checks that leaves are in the tree of *size* leaves with that root."""

    def __init__(self, size: int, root: bytes) -> None:
        self._size = size
        self._proven: dict[Span, bytes] = {(0, size): root}

    def check(self, leaf: bytes, index: int, hashes: Mapping[Span, bytes]) -> None:
        """
        Check that *leaf* is at *index*; the way to the root is climbed as far as nobody was yet.

        Args:
            hashes: The roots of the spans on its audit path, and any others.

        Raises:
            ProofInvalid: They do not show it.
            ValueError: The tree has no such leaf.
            KeyError: One of them is missing.
        """
        span, found, climbed = (index, index + 1), leaf, {}
        for beside in audit_path(index, self._size):
            if span in self._proven:
                break
            climbed[span] = found
            if beside[0] == span[1]:
                span, found = (span[0], beside[1]), node_hash(found, hashes[beside])
            else:
                span, found = (beside[0], span[1]), node_hash(hashes[beside], found)
        if found != self._proven[span]:
            raise ProofInvalid("the proof leads to another root")
        self._proven |= climbed


def check_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """
    Check that the tree of *new* leaves is the tree of *old* leaves with more behind it.

    Raises:
        ProofInvalid: The proof does not show it.
    """
    if not 0 <= old <= new:
        raise ProofInvalid(f"a tree of {new} leaves cannot extend one of {old}")
    with _steps(proof) as steps:
        if old:
            from_old, from_new = _climb_both(old, 0, new, steps, old_root)
        else:  # everything extends the empty tree
            from_old, from_new = EMPTY_ROOT, new_root if new else EMPTY_ROOT
    if from_old != old_root or from_new != new_root:
        raise ProofInvalid("the proof leads to other roots: one tree does not extend the other")


@contextlib.contextmanager
def _steps(proof: Sequence[bytes], *ends: bytes) -> Iterator[Iterator[bytes]]:
    """The hashes of a proof, of which each must be used; *ends* are those it leads from and to."""
    if any(len(found) != HASH_SIZE for found in (*proof, *ends)):
        raise ProofInvalid(f"a hash has {HASH_SIZE} bytes")
    steps = iter(proof)
    try:
        yield steps
    except StopIteration:
        raise ProofInvalid("the proof is too short") from None
    if next(steps, None) is not None:
        raise ProofInvalid("the proof is too long")


def _climb_both(
    old: int, low: int, high: int, steps: Iterator[bytes], old_root: bytes | None
) -> tuple[bytes, bytes]:
    """What [low, old) and [low, high) hash to; *old_root* is known while low is 0."""
    if old == high:
        found = next(steps) if old_root is None else old_root
        return found, found
    middle = _split(low, high)
    if old <= middle:
        from_old, from_new = _climb_both(old, low, middle, steps, old_root)
        return from_old, node_hash(from_new, next(steps))
    from_old, from_new = _climb_both(old, middle, high, steps, None)
    left = next(steps)
    return node_hash(left, from_old), node_hash(left, from_new)


def _complete(low: int, high: int) -> list[tuple[int, int]]:
    """The complete subtrees (level, index) that [low, high) falls into, from left to right."""
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)  # it begins at a multiple of its size
        found.append((level, low >> level))
        low += 1 << level
    return found


def _split(low: int, high: int) -> int:
    return low + (1 << ((high - low - 1).bit_length() - 1))


def _joined(roots: Sequence[bytes]) -> bytes:
    *others, found = roots
    for left in reversed(others):
        found = node_hash(left, found)
    return found


def _between(old: int, low: int, high: int, hash_at: HashAt, *, whole: bool) -> list[bytes]:
    if old == high:
        # The verifier has the old root already where the old tree is one whole subtree.
        return [] if whole else [span_root((low, high), hash_at)]
    middle = _split(low, high)
    if old <= middle:
        rest = span_root((middle, high), hash_at)
        return [*_between(old, low, middle, hash_at, whole=whole), rest]
    rest = span_root((low, middle), hash_at)
    return [*_between(old, middle, high, hash_at, whole=False), rest]
