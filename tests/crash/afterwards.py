"""What must hold after a power cut, whatever the disk then has: for a journal and for a workspace."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import Checkpoint
from engines.journal import Journal, RecordedJournal, Rotation, verify
from tests.crash.disk import Crash
from tests.crash.trace import Mark, Step, Write

SMALL = Rotation(max_bytes=1500)
OWN = {"journal_created", "journal_recovered", "segment_started"}


def check_journal(root: Path, crash: Crash) -> None:
    """The next process reads, goes on and verifies; nothing acknowledged is lost, nothing halved."""
    path = root / "memory" / "notes.jsonl"
    before = list(RecordedJournal(path).events())
    journal = Journal(path, rotation=SMALL)
    journal.append("reopened")
    journal.close()
    after = list(RecordedJournal(path).events())
    assert after[: len(before)] == before
    kinds = Counter(event["event_type"] for event in after[len(before) :])
    assert kinds.pop("reopened") == 1
    assert kinds.keys() <= OWN
    there = Counter(event["event_hash"] for event in after)
    assert [digest for digest in crash.acknowledged if there[digest] != 1] == []
    noted = [event for event in after if event["event_type"] == "noted"]
    assert Counter(event["batch"] for event in noted) == {e["batch"]: e["of"] for e in noted}
    _check_evidence(path, after)
    assert _verified_lines(path) == len(after)
    _check_sealed_go_on(path, after)


def _check_evidence(path: Path, events: list[Any]) -> None:
    for event in events:
        if event["event_type"] == "journal_recovered":
            kept = path.with_name(event["kept_in"]).read_bytes()
            assert len(kept) == event["set_aside_bytes"]
            assert hashlib.sha256(kept).hexdigest() == event["set_aside_sha256"]


def _check_sealed_go_on(path: Path, events: list[Any]) -> None:
    """What a crash left half rotated or half packed does not stand in the way of the next."""
    journal = Journal(path)
    with journal.locked():
        journal.rotate()
    journal.compress_sealed()
    journal.close()
    assert all(sealed.compressed for sealed in RecordedJournal(path).sealed())
    assert list(RecordedJournal(path).events())[:-1] == events
    assert _verified_lines(path) == len(events) + 1


def _verified_lines(path: Path) -> int:
    report = verify(path)
    assert report.ok, report.verdict
    return report.lines


class History:
    """The lines of the one history that was written, in their order, pruned ones included."""

    def __init__(self, steps: list[Step], tip: str) -> None:
        written = (step.data.split(b"\n") for step in steps if isinstance(step, Write))
        sealed = (line for some in written for line in some if line.startswith(b'{"seq":'))
        lines = {line[-66:-2].decode(): line for line in sealed}
        self.lines: list[bytes] = []
        here: str | None = tip
        while here is not None:
            self.lines.insert(0, lines[here])
            here = json.loads(lines[here])["parent_hash"]
        self.numbers = {line[-66:-2].decode(): n for n, line in enumerate(self.lines)}
        changes = (json.loads(line).get("change", 0) for line in self.lines)
        self._occupancies = [*accumulate(changes, initial=0)]

    @classmethod
    def of(cls, steps: list[Step]) -> History:
        """Up to the last line that was acknowledged."""
        return cls(
            steps,
            [m.said["acked"] for m in steps if isinstance(m, Mark) and "acked" in m.said][-1][-1],
        )

    def occupancy(self, lines: int) -> int:
        """What these first lines fold to."""
        return self._occupancies[lines]


def check_workspace(root: Path, crash: Crash, history: History) -> None:
    """As for a journal; and the state is that of the lines, and what was signed is borne out."""
    space = Workspace(root)
    zones = RecordedJournal(root / "memory" / "zones.jsonl")
    begin, length = zones.begin().seq, zones.length()
    there = [line for block in zones.blocks(zones.begin()) for line in block.lines]
    assert there == history.lines[begin:length]
    assert all(history.numbers[digest] < length for digest in crash.acknowledged)
    assert begin >= max(crash.promised("pruned"), default=0)
    assert _occupancy(space) == history.occupancy(length)
    _check_fold_without_snapshot(root, history.occupancy(length))
    _check_signed(space, crash, history.lines[:length])


def _occupancy(space: Workspace) -> int:
    return sum(zone.occupancy for zone in space.zones.snapshot().values())


def _check_fold_without_snapshot(root: Path, occupancy: int) -> None:
    copy = root.with_name(f"{root.name}-copy")
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("*.snapshot"))
    assert _occupancy(Workspace(copy)) == occupancy
    shutil.rmtree(copy)


def _check_signed(space: Workspace, crash: Crash, lines: list[bytes]) -> None:
    """What was handed out is still known; the next one signed has it as its beginning."""
    auditing = Auditing(space)
    known = [signed.text for signed in auditing.log.of("zones")]
    assert set(crash.promised("signed")) <= set(known)
    kept = auditing.note_file("zones")
    assert not kept.exists() or kept.read_text() in known
    space.zones.record_event("Quay", kind="enter")
    (signed,) = auditing.checkpoint(["zones"])
    path = space.memory / "zones.jsonl"
    assert verify(path).ok
    zones = RecordedJournal(path)
    end = [line for block in zones.blocks(zones.begin()) for line in block.lines]
    whole = lines[: zones.begin().seq] + end
    assert whole[: len(lines)] == lines
    for text in [*known, signed.text]:
        checkpoint = Checkpoint.parse(text)
        assert checkpoint.root == root_of(whole[: checkpoint.size])
    found = auditing.audit(path)
    assert found.ok, found.verdict
    assert found.anchors[-1].checkpoint.size == len(whole)
    auditing.prove("zones", 0, whole[0])


def root_of(lines: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, and nothing else."""
    if len(lines) == 1:
        return _leaf_hash(lines[0])
    half = 1 << (len(lines) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(lines[:half]) + root_of(lines[half:])).digest()


@cache
def _leaf_hash(line: bytes) -> bytes:
    return hashlib.sha256(b"\0" + line).digest()


def check_first(root: Path, crash: Crash, history: History) -> None:
    """A workspace whose first event is recorded has its name for good, and its journals bear it."""
    space = Workspace(root)
    zones = RecordedJournal(root / "memory" / "zones.jsonl")
    length = zones.length()
    assert [line for block in zones.blocks() for line in block.lines] == history.lines[:length]
    assert all(history.numbers[digest] < length for digest in crash.acknowledged)
    assert all(space.identity() == identity for identity in crash.promised("identity"))
    space.zones.register_zone(
        {"name": "Pier", "boundary": {"min_x": 0, "max_x": 9, "min_y": 0, "max_y": 9}}
    )
    assert next(iter(zones.events()))["origin"]["workspace"] == space.identity() != ""
    assert verify(zones.path).ok
