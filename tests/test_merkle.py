"""The tree of RFC 6962: the published roots, every proof of every small tree, and the index on disk."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.audit import HashTree
from engines.merkle import (
    EMPTY_ROOT,
    ProofInvalid,
    RightEdge,
    check_consistency,
    check_inclusion,
    consistency_proof,
    edge,
    fold,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    root,
    subtrees,
)

# The leaves and roots that Certificate Transparency implementations share as test data.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
N = 40
HASHES = [leaf_hash(bytes([i])) for i in range(N)]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def hash_at(level: int, index: int) -> bytes:
    return fold(b"".join(HASHES[index << level : (index + 1) << level]))


ALL_ROOTS = [naive_root(HASHES[:n]) for n in range(N + 1)]


def test_the_published_roots() -> None:
    found = [naive_root(leaf_hashes(LEAVES[:n])).hex() for n in range(9)]
    assert found == ROOTS
    hashes = leaf_hashes(LEAVES)
    ours = [
        root(n, lambda level, i: fold(b"".join(hashes[i << level : (i + 1) << level])))
        for n in range(9)
    ]
    assert [found.hex() for found in ours] == ROOTS
    assert ROOTS[0] == EMPTY_ROOT.hex()


@pytest.mark.parametrize("size", range(1, N + 1))
def test_every_line_of_every_small_tree_can_be_proved(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(index, size, hash_at)
        check_inclusion(HASHES[index], index, size, proof, ALL_ROOTS[size])


@pytest.mark.parametrize("new", range(N + 1))
def test_every_small_tree_is_shown_to_extend_every_smaller_one(new: int) -> None:
    for old in range(new + 1):
        proof = consistency_proof(old, new, hash_at)
        check_consistency(old, new, proof, ALL_ROOTS[old], ALL_ROOTS[new])


@given(data=st.data(), size=st.integers(2, N))
def test_no_other_line_index_size_or_step_passes(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, hash_at)
    other = data.draw(st.integers(0, N - 1).filter(lambda i: i != index))
    wrong: list[tuple] = [
        (HASHES[other], index, size, proof, ALL_ROOTS[size]),
        (HASHES[index], index, size, [*proof, proof[-1]], ALL_ROOTS[size]),
        (HASHES[index], index, size, proof[:-1], ALL_ROOTS[size]),
        (HASHES[index], index, size, proof[1:], ALL_ROOTS[size]),
        (HASHES[index], index, size, [EMPTY_ROOT, *proof[1:]], ALL_ROOTS[size]),
        (HASHES[index], index, size, proof, ALL_ROOTS[size - 1]),
        (HASHES[index], -1, size, proof, ALL_ROOTS[size]),
        (HASHES[index], size, size, proof, ALL_ROOTS[size]),
    ]
    for case in wrong:
        with pytest.raises(ProofInvalid):
            check_inclusion(*case)


@given(data=st.data(), new=st.integers(2, N))
def test_no_other_history_passes_for_an_extension(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(old, new, hash_at)
    forged = [leaf_hash(b"forged"), *HASHES[1:]]
    wrong: list[tuple] = [
        (old, new, proof[:-1], ALL_ROOTS[old], ALL_ROOTS[new]),
        (old, new, [*proof, EMPTY_ROOT], ALL_ROOTS[old], ALL_ROOTS[new]),
        (old, new, proof, naive_root(forged[:old]), ALL_ROOTS[new]),
        (old, new, proof, ALL_ROOTS[old], naive_root(forged[:new])),
        (new, old, proof, ALL_ROOTS[new], ALL_ROOTS[old]),
        (old, old, [], ALL_ROOTS[old], naive_root(forged[:old])),
        (0, new, proof, EMPTY_ROOT, ALL_ROOTS[new]),
    ]
    for case in wrong:
        with pytest.raises(ProofInvalid):
            check_consistency(*case)


def test_nothing_but_hashes_is_taken_for_one() -> None:
    """An empty leaf under an empty root, and two empty trees that differ (both public vectors)."""
    with pytest.raises(ProofInvalid, match="32 bytes"):
        check_inclusion(b"", 0, 1, [], b"")
    with pytest.raises(ProofInvalid):
        check_consistency(0, 0, [], EMPTY_ROOT, ALL_ROOTS[1])
    check_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)


@given(cuts=st.lists(st.integers(0, N), max_size=6))
def test_an_edge_can_be_carried_on_in_any_pieces(cuts: list[int]) -> None:
    """Each process hashes its own part; put together it is the one tree."""
    carried, here = RightEdge(), 0
    for cut in (*sorted(cuts), N):
        carried.extend(subtrees(here, b"".join(HASHES[here:cut])))
        assert carried.root() == ALL_ROOTS[cut]
        assert RightEdge(edge(cut, hash_at)).root() == ALL_ROOTS[cut]
        here = cut


@pytest.fixture(scope="module")
def many() -> list[bytes]:
    return leaf_hashes(b"%d" % i for i in range(70_000))


def test_the_index_on_disk_gives_the_same_roots(tmp_path: Path, many: list[bytes]) -> None:
    """Three levels of files; extended in uneven pieces, some of them across whole tiles."""
    tree, here = HashTree(tmp_path / "zones.tree"), 0
    for cut in (1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000):
        tree.extend(many[here:cut])
        assert tree.size == cut
        assert tree.root(cut) == naive_root(many[:cut])
        here = cut
    assert {file.name for file in (tmp_path / "zones.tree").iterdir()} == {"0", "1", "2"}
    for size in (1, 256, 300, 65_537):
        assert tree.holds(size, naive_root(many[:size]))
    proof = inclusion_proof(12_345, 70_000, tree.hash_at)
    check_inclusion(many[12_345], 12_345, 70_000, proof, tree.root(70_000))


def test_the_index_can_be_cut_and_mends_what_a_crash_left(
    tmp_path: Path, many: list[bytes]
) -> None:
    """Half a hash at the end of a file is written over; an upper level that lags is caught up."""
    folder = tmp_path / "zones.tree"
    tree = HashTree(folder)
    tree.extend(many[:2000])
    tree.cut(700)
    assert tree.root(700) == naive_root(many[:700])
    with (folder / "0").open("ab") as file:
        file.write(b"half a hash")
    (folder / "1").write_bytes((folder / "1").read_bytes()[:40])
    tree.extend(many[700:1500])
    assert tree.root(1500) == naive_root(many[:1500])


def test_a_tree_that_is_too_small_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no complete subtree"):
        HashTree(tmp_path / "none").hash_at(0, 0)
    with pytest.raises(ValueError, match="not among"):
        inclusion_proof(3, 3, hash_at)
    with pytest.raises(ValueError, match="does not extend"):
        consistency_proof(4, 3, hash_at)
