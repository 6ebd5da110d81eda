"""
What a journal and a workspace do to the disk: each prepared, then done before everybody's eyes.

An operation is called with the folder it works on; what it does behind `gate()` is looked at, and
what it says was acknowledged.  It may be done again by the next process, which has to succeed.
"""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Imported where they are first needed, which is not our subject.
import zstandard  # noqa: F401

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.errors import DinoError
from engines.journal import Journal, Rotation
from engines.zone import DynamicZoneRegistry  # noqa: F401  as above

Place = str | Path
Say = Callable[..., None]
Gate = Callable[[], object]

tempfile.gettempdir()  # it tries the folder out the first time

batches = itertools.count()
SMALL = Rotation(max_bytes=1500)
APPENDING = ("first", "first_batch", "append", "batch", "recover", "rotate", "outgrow")
OF_A_JOURNAL = (*APPENDING, "pack")
OF_A_WORKSPACE = ("checkpoint", "checkpoint_of_the_whole", "snapshot", "prune", "replace_key")
ZONE = {
    "name": "Quay",
    "boundary": {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1},
    "capacity": 1000,
}
CONFIG = """\
system:
  name: test
memory:
  rotate_bytes: 5000
security:
  signing_key: signing.key
"""


def prepare(operation: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (prepare_journal if operation in OF_A_JOURNAL else prepare_workspace)(folder)


def settle(folder: Path) -> None:
    """Make each journal's head that of this copy of it."""
    for path in Workspace(folder).journals():
        with Journal(path).locked():
            pass


def prepare_journal(folder: Path) -> None:
    """A journal of three files."""
    notes = Journal(notes_of(folder), rotation=SMALL)
    for number in range(6):
        write(notes, number % 2 + 1)


def prepare_workspace(folder: Path) -> None:
    """A journal of three files, a key, two checkpoints and a snapshot."""
    (folder / "config.yaml").write_text(CONFIG)
    space = opened(folder)
    space.zones.register_zone(ZONE)
    auditing = Auditing(space)
    auditing.new_key(None)
    for _ in range(2):
        for _ in range(20):
            space.zones.record_event("Quay", kind="enter")
        auditing.checkpoint(["zones"])
    space.zones.save_snapshot()
    space.zones.record_event("Quay", kind="enter")


def opened(folder: Place) -> Workspace:
    space = Workspace(Path(folder))
    assert space.config.settings.security.signing_key  # read before anybody looks on
    return space


def notes_of(folder: Place) -> Path:
    return Path(folder) / "memory" / "notes.jsonl"


def write(journal: Journal, count: int, say: Say | None = None, pad: int = 60) -> None:
    draft = {"batch": f"{os.getpid()}-{next(batches)}", "of": count, "pad": "x" * pad}
    events = journal.append_many([("noted", draft)] * count)
    if say:
        say(acked=[event["event_hash"] for event in events])


@contextlib.contextmanager
def going_on(journal: Journal, say: Say) -> Iterator[None]:
    """Whoever was refused may try again with the same object, and be refused or succeed."""
    try:
        yield
    except (DinoError, OSError):
        with contextlib.suppress(DinoError):
            write(journal, 1, say)
        raise


# --- a journal ---------------------------------------------------------------------------------


def first(folder: Place, say: Say, gate: Gate) -> None:
    gate()
    journal = Journal(Path(folder) / "new" / "notes.jsonl")
    with going_on(journal, say):
        write(journal, 1, say)


def first_batch(folder: Place, say: Say, gate: Gate) -> None:
    gate()
    journal = Journal(Path(folder) / "new" / "notes.jsonl")
    with going_on(journal, say):
        write(journal, 3, say)


def append(folder: Place, say: Say, gate: Gate) -> None:
    """The first opens the journal, the second finds it as it was left."""
    gate()
    journal = Journal(notes_of(folder))
    with going_on(journal, say):
        write(journal, 1, say)
        write(journal, 1, say)


def batch(folder: Place, say: Say, gate: Gate) -> None:
    gate()
    journal = Journal(notes_of(folder))
    with going_on(journal, say):
        write(journal, 3, say)
        write(journal, 4, say, pad=3000)


def recover(folder: Place, say: Say, gate: Gate) -> None:
    """Another has been killed in the middle of a batch."""
    path = notes_of(folder)
    with Journal(path).locked(), path.open("ab") as live:
        live.write(b'{"seq":')
    gate()
    journal = Journal(path)
    with going_on(journal, say):
        write(journal, 2, say)


def rotate(folder: Place, say: Say, gate: Gate) -> None:
    gate()
    journal = Journal(notes_of(folder))
    with going_on(journal, say):
        write(journal, 1, say)
        with journal.locked():
            journal.rotate()
        write(journal, 1, say)


def outgrow(folder: Place, say: Say, gate: Gate) -> None:
    """A batch that fills the file, and one that goes into the next."""
    journal = Journal(notes_of(folder), rotation=SMALL)
    write(journal, 1)
    gate()
    with going_on(journal, say):
        write(journal, 2, say, pad=1500)
        write(journal, 1, say)


def pack(folder: Place, say: Say, gate: Gate) -> None:
    journal = Journal(notes_of(folder))
    write(journal, 1)
    gate()
    journal.compress_sealed()


# --- a workspace -------------------------------------------------------------------------------


def checkpoint(folder: Place, say: Say, gate: Gate) -> None:
    space = opened(folder)
    auditing = Auditing(space)
    space.zones.record_event("Quay", kind="enter")
    gate()
    for signed in auditing.checkpoint(["zones"]):
        say(signed=signed.text)


def checkpoint_of_the_whole(folder: Place, say: Say, gate: Gate) -> None:
    """There is no index of hashes, and nothing was signed yet."""
    space = opened(folder)
    auditing = Auditing(space)
    write(Journal(notes_of(folder)), 300)
    gate()
    for signed in auditing.checkpoint(["notes"]):
        say(signed=signed.text)


def snapshot(folder: Place, say: Say, gate: Gate) -> None:
    space = opened(folder)
    space.zones.record_event("Quay", kind="enter")
    gate()
    space.zones.save_snapshot()


def prune(folder: Place, say: Say, gate: Gate) -> None:
    space = opened(folder)
    before = Auditing(space).log.latest_or_raise("zones").checkpoint.size - 5
    gate()
    prune_journal(space, "zones", before)
    space.zones.record_event("Quay", kind="enter")
    say(acked=[space.zones.journal.end.parent_hash])


def replace_key(folder: Place, say: Say, gate: Gate) -> None:
    auditing = Auditing(opened(folder))
    gate()
    auditing.rotate_key(None)
    for signed in auditing.checkpoint(["zones"]):
        say(signed=signed.text)
