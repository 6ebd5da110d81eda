"""The index of hashes: with it, without it, or with a damaged one, the same is signed and proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal
from engines.journal.reader import Block
from tests.audit.office import Office, flip, kinds

LINES = 601  # two complete tiles of 256 and a rest


def deleted(tree: Path) -> None:
    for file in tree.iterdir():
        file.unlink()
    tree.rmdir()


def truncated(level: str, keep: int) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        (tree / level).write_bytes((tree / level).read_bytes()[:keep])

    damage.__name__ = f"level-{level}-cut-to-{keep}"
    return damage


def gone(level: str) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        (tree / level).unlink()

    damage.__name__ = f"level-{level}-gone"
    return damage


def flipped(level: str, place: int) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        flip(tree / level, place)

    damage.__name__ = f"level-{level}-bit-of-byte-{place}"
    return damage


def longer(level: str) -> Callable[[Path], None]:
    def damage(tree: Path) -> None:
        (tree / level).write_bytes((tree / level).read_bytes() + b"\x07" * 700)

    damage.__name__ = f"level-{level}-longer"
    return damage


def zeros(level: str) -> Callable[[Path], None]:
    """What a power cut leaves of a file that was never synced."""

    def damage(tree: Path) -> None:
        (tree / level).write_bytes(bytes((tree / level).stat().st_size))

    damage.__name__ = f"level-{level}-zeros"
    return damage


DAMAGE = [
    deleted,
    gone("0"),
    gone("1"),
    truncated("0", 0),
    truncated("0", 33),
    truncated("0", 600 * 32),
    truncated("1", 0),
    truncated("1", 40),
    flipped("0", 5),
    flipped("0", 600 * 32 + 5),
    flipped("1", 5),
    longer("0"),
    longer("1"),
    zeros("0"),
    zeros("1"),
]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal's bytes and head, made once."""
    office = Office(tmp_path_factory.mktemp("grown"))
    office.note(LINES - 1)
    return office.folder


@pytest.fixture
def workspace(tmp_path: Path, grown: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "notes.jsonl").write_bytes((grown / "notes.jsonl").read_bytes())
    workspace = Workspace(tmp_path)
    Auditing(workspace).new_key(None)
    Auditing(workspace).checkpoint(["notes"])
    return workspace


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_any_damage_to_the_index_changes_nothing_that_is_signed(
    workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    auditing = Auditing(workspace)
    first = auditing.log.latest_or_raise("notes")
    damage(workspace.memory / "notes.tree")
    assert auditing.checkpoint(["notes"]) == [first]
    workspace.journal("notes").append("noted", {"n": LINES})
    (second,) = auditing.checkpoint(["notes"])
    fresh = Office(workspace.root / "fresh")
    fresh.path.write_bytes((workspace.memory / "notes.jsonl").read_bytes())
    assert second.checkpoint.root == fresh.sign().checkpoint.root


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_any_damage_to_the_index_changes_no_proof(
    workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    """Of the first lines, the last, one beside the damage, and from one size to another."""
    auditing = Auditing(workspace)
    seqs = (0, 1, 2, 255, 256, 599, 600)
    before = [str(auditing.prove("notes", seq)) for seq in seqs]
    from_old = auditing.prove_consistency("notes", 257, None)
    damage(workspace.memory / "notes.tree")
    assert [str(auditing.prove("notes", seq)) for seq in seqs] == before
    assert auditing.prove_consistency("notes", 257, None) == from_old


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_any_damage_to_the_index_is_at_most_a_fault_of_the_index(
    workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    """The lines are those that were signed: nobody is accused of a fork."""
    damage(workspace.memory / "notes.tree")
    found = Auditing(workspace).audit(workspace.memory / "notes.jsonl")
    assert set(kinds(found)) <= {"index"}
    assert found.report.ok
    if not found.ok:
        assert "notes.tree" in found.faults[0].what


@pytest.mark.parametrize(
    "damage",
    [flipped("0", 5), flipped("0", 600 * 32 + 5), flipped("1", 5), zeros("0"), zeros("1")],
    ids=lambda d: d.__name__,
)
def test_an_index_that_differs_from_the_lines_is_found(
    workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    """Wherever it does: for pruned lines it will be all there is."""
    damage(workspace.memory / "notes.tree")
    assert kinds(Auditing(workspace).audit(workspace.memory / "notes.jsonl")) == ["index"]


def test_signing_costs_what_was_added(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the journal's length: the lines that were signed are not read again."""
    read = []
    blocks = RecordedJournal.blocks

    def counted(self: RecordedJournal, *args: object) -> Iterator[Block]:
        for block in blocks(self, *args):
            read.append((self.name, len(block.lines)))
            yield block

    journal = workspace.journal("notes")
    journal.append_many([("noted", {"n": n}) for n in range(7)])
    monkeypatch.setattr(RecordedJournal, "blocks", counted)
    Auditing(workspace).checkpoint(["notes"])
    assert [count for name, count in read if name == "notes"] == [7]
