"""The index of hashes against another's tree, and against the arithmetic of our own."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from engines.audit import HashTree
from engines.merkle import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
)

_folders = itertools.count()
N = 700


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    """Another's RFC 6962 tree of the same leaves."""
    tree = InmemoryTree(algorithm="sha256")
    for number in range(N):
        tree.append_entry(b"%d" % number)
    return tree


LEAVES = [leaf_hash(b"%d" % number) for number in range(N)]
steps = st.lists(
    st.tuples(st.sampled_from(["extend", "extend", "cut"]), st.integers(0, 400)), max_size=8
)


@given(steps=steps)
@settings(max_examples=24)
def test_any_extends_and_cuts_give_the_others_root(
    tmp_path_factory: pytest.TempPathFactory, oracle: InmemoryTree, steps: list[tuple[str, int]]
) -> None:
    """As one who opens the folder anew each time."""
    folder, size = tmp_path_factory.getbasetemp() / f"tree-{next(_folders)}", 0
    for what, amount in steps:
        tree = HashTree(folder)
        if what == "extend":
            tree.extend(LEAVES[size : size + amount])
            size = min(size + amount, N)
        else:
            size = min(size, amount)
            tree.cut(size)
        assert tree.size == size
        assert tree.root(size) == oracle.get_root(size)
        assert tree.leaves(0, size) == b"".join(LEAVES[:size])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> HashTree:
    tree = HashTree(tmp_path_factory.mktemp("whole") / "tree")
    tree.extend(LEAVES)
    return tree


@given(data=st.data(), new=st.integers(1, N))
@settings(max_examples=18)
def test_proofs_are_the_others_proofs(
    oracle: InmemoryTree, whole: HashTree, data: st.DataObject, new: int
) -> None:
    """The same path (theirs begins with the leaf itself); our links join their roots."""
    index, old = data.draw(st.integers(0, new - 1)), data.draw(st.integers(1, new))
    ours = inclusion_proof(index, new, whole.hash_at)
    theirs = oracle.prove_inclusion(index + 1, new)
    assert [LEAVES[index], *ours] == [bytes.fromhex(p) for p in theirs.serialize()["path"]]
    root = oracle.get_root(new)
    check_inclusion(LEAVES[index], index, new, ours, root)
    between = consistency_proof(old, new, whole.hash_at)
    check_consistency(old, new, between, oracle.get_root(old), root)


def test_levels_beyond_256_and_65536_leaves(tmp_path: Path) -> None:
    """In three files, cut back across both borders and grown again."""
    tree, other = HashTree(tmp_path / "tree"), InmemoryTree(algorithm="sha256")
    leaves = [leaf_hash(b"%d" % number) for number in range(65_800)]
    tree.extend(leaves)
    assert sorted(file.name for file in tree.folder.iterdir()) == ["0", "1", "2"]
    full = tree.root(65_800)
    for size in (65_537, 65_536, 65_535, 300, 256, 255):
        tree.cut(size)
        assert [(tree.folder / str(level)).stat().st_size // 32 for level in range(3)] == [
            size,
            size >> 8,
            size >> 16,
        ]
    for number in range(255):
        other.append_entry(b"%d" % number)
    assert tree.root(255) == other.get_root(255)
    for begin in range(255, 65_800, 13_001):
        tree.extend(leaves[begin : begin + 13_001])
    assert tree.root(65_800) == full
