"""docs/journal.md is enough: what Dino writes a stranger verifies, and the other way round."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import verifier
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.journal import Journal, RecordedJournal, files_of, verify
from tests.conftest import REPOSITORY, environment
from tests.interop.conftest import HERE, PAYLOADS, grow, judged_alike
from tests.interop.hands import hash_of, head_at, lines_of, put_lines, rechained, seal

Copy = Callable[..., Path]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
    lambda name: name not in {*verifier.RESERVED, "event_hash", "by"}
)


def test_nothing_of_dino_is_in_the_verifier() -> None:
    """It runs where only Python is: no path to Dino, no site-packages."""
    code = "import sys, verifier; print(*(m for m in sys.modules if 'engines' in m or 'dino' in m))"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""
    for file in ("verifier.py", "reported.py", "signed.py", "ed25519.py"):
        imported = re.findall(
            r"^ *(?:from|import) ([\w.]+)", (HERE / file).read_text(), re.MULTILINE
        )
        ours = {"ed25519", "reported", "signed", "zstandard", "__future__"}
        assert set(imported) - ours <= sys.stdlib_module_names | {"collections.abc", "urllib.parse"}


@given(
    batches=st.lists(
        st.lists(st.dictionaries(names, json_values, max_size=3), min_size=1, max_size=3),
        max_size=6,
    )
)
@settings(max_examples=15)
def test_whatever_dino_writes_is_sound_to_a_stranger(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    """In batches, over several files, packed or not: as many lines, the same head, the same root."""
    path = tmp_path_factory.mktemp("any") / "notes.jsonl"
    journal = grow(path, PAYLOADS, max_bytes=700)
    for batch in batches:
        journal.append_many([("noted", payload) for payload in batch])
    assert len(files_of(path)) > 2
    assert judged_alike(path.parent).sound
    journal.compress_sealed()
    journal.append("noted", {})
    journal.close()
    assert judged_alike(path.parent).lines == verify(path).lines


def test_every_tree_size_has_the_same_root(long: Path) -> None:
    lines = [
        line for block in RecordedJournal(long / "notes.jsonl").blocks() for line in block.lines
    ]
    leaves = [verifier.leaf_hash(line) for line in lines]
    roots = verify(long / "notes.jsonl", sizes=range(len(lines) + 1)).roots
    assert roots == {size: verifier.root_of(leaves[:size]) for size in range(len(lines) + 1)}


def test_the_three_lines_of_the_document_show_one_hash(tmp_path: Path) -> None:
    """As they stand there, on a journal as it stands there."""
    text = (REPOSITORY / "docs" / "journal.md").read_text()
    commands = re.findall(r"^    (sed -n .*)$", text, re.MULTILINE)
    assert len(commands) == 3
    grow(tmp_path / "zones.jsonl", PAYLOADS).close()
    said = [
        subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for line in commands
    ]
    found = [re.findall("[0-9a-f]{64}", out) for out in said]
    assert found == [[hash_of(lines_of(tmp_path / "zones.jsonl")[2]).decode()]] * 3


@pytest.mark.parametrize("home", [True, False], ids=["home", "copied"])
def test_the_command_says_by_its_exit_code(long: Path, copy: Copy, home: bool) -> None:
    folder = copy(long, home=home)

    def run() -> subprocess.CompletedProcess[str]:
        program = [sys.executable, str(HERE / "verifier.py"), str(folder), "notes"]
        return subprocess.run(program, capture_output=True, text=True, check=False)

    sound = run()
    assert (sound.returncode, sound.stderr) == (0, "")
    assert sound.stdout.startswith(f"notes: {verify(folder / 'notes.jsonl').lines} lines, head ")
    lines = lines_of(folder / "notes.jsonl")
    put_lines(folder / "notes.jsonl", [lines[0], lines[1].replace(b"noted", b"moted"), *lines[2:]])
    broken = run()
    assert (broken.returncode, broken.stderr) == (1, "")
    assert "notes.jsonl:2: edited" in broken.stdout


# --- the other way round ---------------------------------------------------------------------------


def by_hand(folder: Path, *, pack: bool = False) -> list[bytes]:
    """A journal `notes` in two files, from the document alone."""
    nobody = '"parent_hash":"' + "0" * 64 + '"'
    first = b'{"seq":0,"event_type":"journal_created","timestamp":0,"parent_hash":null,"journal":"notes","format":1,"origin":{},"id":"00112233445566778899aabbccddeeff"}'
    noted = [
        f'{{"seq":{seq},"event_type":"noted","timestamp":{seq}.5,{nobody},"text":"\\u00e9 {seq}"}}'
        for seq in range(1, 6)
    ]
    sealed = rechained([seal(first), *(seal(body.encode()) for body in noted[:3])])
    size = sum(len(line) + 1 for line in sealed)
    started = f'{{"seq":4,"event_type":"segment_started","timestamp":9,{nobody},"segment":2,"offset":{size}}}'
    later = [body.replace('"seq":4', '"seq":5', 1) for body in noted[3:4]]
    lines = rechained([*sealed, *(seal(body.encode()) for body in [started, *later])])
    put_lines(folder / "notes.000001.jsonl", lines[:4])
    put_lines(folder / "notes.jsonl", lines[4:])
    if pack:
        import zstandard

        file = folder / "notes.000001.jsonl"
        (folder / f"{file.name}.zst").write_bytes(
            zstandard.ZstdCompressor().compress(file.read_bytes())
        )
        file.unlink()
    return lines


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("head", [False, True])
def test_a_journal_made_by_hand_is_sound_to_dino_and_can_be_continued(
    tmp_path: Path, pack: bool, head: bool
) -> None:
    lines = by_hand(tmp_path, pack=pack)
    if head:
        head_at(tmp_path, lines)
    found = judged_alike(tmp_path)
    assert (found.sound, found.lines, found.head_hash) == (True, 6, hash_of(lines[-1]).decode())
    journal = Journal(tmp_path / "notes.jsonl")
    journal.append("noted", {"text": "by dino"})
    assert [e["seq"] for e in journal.events()] == list(range(7))
    journal.close()
    assert judged_alike(tmp_path).lines == 7
