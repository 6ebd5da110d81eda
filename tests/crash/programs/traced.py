"""
Do one thing with a journal while strace looks on: `traced.py MARKS FOLDER WHAT`.

Says what was acknowledged as soon as it was, and "go" when what is looked at begins.
"""

import contextlib
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.errors import JournalWriteFailed
from engines.journal import Journal, Rotation
from engines.journal import head as head_module
from engines.journal import journal as module

MARKS = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)
ROOT = Path(sys.argv[2])
PATH = ROOT / "memory" / "notes.jsonl"
SMALL = Rotation(max_bytes=1500)
batches = iter(range(1_000_000))


def say(**said: object) -> None:
    os.write(MARKS, json.dumps(said).encode())


def append(journal: Journal, count: int = 1, pad: int = 20) -> None:
    draft = {"batch": next(batches), "of": count, "pad": "x" * pad}
    events = journal.append_many([("noted", draft)] * count)
    say(acked=[event["event_hash"] for event in events])


def half(fd: int, data: bytes) -> None:
    """All that a process gets done which is killed in a write."""
    os.write(fd, data[: len(data) * 2 // 3])
    raise KeyboardInterrupt


def kill_in_write(journal: Journal, count: int) -> None:
    whole, module.write_all = module.write_all, half
    with contextlib.suppress(KeyboardInterrupt):
        append(journal, count)
    module.write_all = whole


def first_single() -> None:
    say(go=True)
    append(Journal(PATH))


def first_batch() -> None:
    PATH.parent.mkdir()
    say(go=True)
    journal = Journal(PATH)
    append(journal, 3, 400)
    append(journal)


def single() -> None:
    journal = Journal(PATH)
    append(journal)
    say(go=True)
    for pad in (10, 300, 700, 2000, 9000, 10):
        append(journal, 1, pad)


def batch() -> None:
    journal = Journal(PATH)
    append(journal)
    say(go=True)
    for count, pad in ((2, 10), (8, 100), (30, 300), (3, 5000), (1, 10)):
        append(journal, count, pad)


def group() -> None:
    journal = Journal(PATH)
    append(journal)
    say(go=True)
    for several in (3, 6):
        threads = [
            threading.Thread(target=append, args=(journal, n % 3 + 1, 150)) for n in range(several)
        ]
        with journal.locked():  # so that all of them wait, and one commits for all
            for thread in threads:
                thread.start()
            while len(journal._queue.waiting) < several:
                time.sleep(0.001)
        for thread in threads:
            thread.join()


def recovery() -> None:
    """In the same boot, with and without a batch under way; then in another."""
    append(Journal(PATH), 4)
    for round_, count in enumerate((1, 5, 1, 6)):
        kill_in_write(Journal(PATH), count)
        if round_ == 0:
            say(go=True)
        if round_ == 2:
            head_module.boot_id = lambda: "another"
        append(Journal(PATH), round_ % 2 + 1)


def full_disk() -> None:
    journal = Journal(PATH)
    append(journal, 2)
    say(go=True)
    for count in (1, 6, 3):
        room = PATH.stat().st_size + 250 * count // 2
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        with contextlib.suppress(JournalWriteFailed):
            append(journal, count)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        append(journal, count % 2 + 1)


def rotation() -> None:
    PATH.parent.mkdir()
    journal = Journal(PATH, rotation=SMALL)
    say(go=True)
    for number in range(9):
        append(journal, number % 3 + 1, 100)


def compression() -> None:
    journal = Journal(PATH, rotation=SMALL)
    for _ in range(12):
        append(journal, 2)
    say(go=True)
    journal.compress_sealed()
    append(journal)
    while len(journal.sealed()) < 5:
        append(journal, 2)
    journal.compress_sealed()


def workspace() -> tuple[Workspace, Auditing]:
    """One of which a journal, a key and two checkpoints are there already."""
    space = Workspace(ROOT)
    space.zones.register_zone(ZONE)
    auditing = Auditing(space)
    auditing.new_key(None)
    enter(space, 3)
    sign(auditing)
    return space, auditing


ZONE = {"name": "Quay", "boundary": {"min_x": 0, "max_x": 9, "min_y": 0, "max_y": 9}}


def enter(space: Workspace, count: int, at_once: int = 1) -> None:
    for _ in range(count):
        with space.zones.deciding():
            for _ in range(at_once):
                space.zones.record_event("Quay", kind="enter")
        say(acked=[space.zones.journal.end.parent_hash])


def sign(auditing: Auditing) -> None:
    for signed in auditing.checkpoint(["zones"]):
        say(signed=signed.text)


def first_of_a_workspace() -> None:
    say(go=True)
    space = Workspace(ROOT)
    space.zones.register_zone(ZONE)
    say(acked=[space.zones.journal.end.parent_hash], identity=space.identity())


def checkpoint() -> None:
    space, auditing = workspace()
    say(go=True)
    enter(space, 2)
    sign(auditing)
    enter(space, 1, at_once=300)
    sign(auditing)


def snapshot() -> None:
    space, _ = workspace()
    say(go=True)
    for _ in range(3):
        enter(space, 3)
        space.zones.save_snapshot()


def pruning() -> None:
    space, auditing = workspace()
    enter(space, 30)
    sign(auditing)
    say(go=True)
    for _ in range(2):
        begin = space.zones.journal.end.seq - 5
        pruned = prune_journal(space, "zones", begin)
        say(pruned=pruned.lines)
        enter(space, 4)
        sign(auditing)


globals()[sys.argv[3]]()
say(done=True)
