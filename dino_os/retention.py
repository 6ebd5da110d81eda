"""What becomes of journals that grow: sealed early, pruned, or exported to be checked alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from dino_os.auditing import Auditing
from dino_os.errors import InvalidInput
from dino_os.provenance.following import follow
from dino_os.provenance.mapping import FOLLOWED
from dino_os.workspace import Workspace
from engines.audit import CannotPrune, Pruned, prune, tree_of
from engines.durable import replace_file
from engines.entity_manager import EntityState
from engines.filed import drop_unnamed, named_files
from engines.journal import Journal, RecordedJournal, Sealed

_NEXT_FILE = "segment_started"
_HOW_TO = """\
Exported journals of {origin}

Each NAME.jsonl, with NAME.000001.jsonl… before it, is one hash chain; checkpoints/NAME.note is its
last signed checkpoint, and verifier.keys holds the keys that signed.  To verify:

    audit --home . verify

Trust keys that you got from their owner, not this file: audit --home . verify --key KEY
docs/journal.md of Dino says how to verify without Dino.
"""


def rotate(workspace: Workspace, names: Sequence[str]) -> list[tuple[str, int]]:
    """
    Seal each journal's live file now and compress what is sealed; return the sealed files of each.

    Raises:
        NotFound: There is no such journal.
        OSError: The disk did not take it.
    """
    done = []
    for path in workspace.named_journals(names):
        journal = _opened(workspace, path)
        with journal.locked():
            journal.rotate()
        if workspace.config.settings.memory.compress:
            journal.compress_sealed()
        done.append((path.stem, len(journal.sealed())))
    return done


def prune_journal(workspace: Workspace, name: str, before: int) -> Pruned:
    """
    Remove the sealed files of a journal whose lines all lie before line *before*, and the files of
    large values that nothing else names.

    Raises:
        NotFound: There is no such journal.
        CannotPrune: What must outlast the lines is not there.
    """
    path = workspace.named_journals([name])[0]
    if name in FOLLOWED and (workspace.memory / "provenance_log.jsonl").exists():
        follow(workspace)  # which cannot take over afterwards what is removed
    engine = workspace.engines.get(name)
    if engine:
        engine().save_snapshot()
    log, tree = Auditing(workspace).log, tree_of(path)
    log.rebuild(RecordedJournal(path), tree)
    journal = _opened(workspace, path)
    pruned = prune(journal, before, log.latest(name), tree, folded=engine is not None)
    drop_unnamed(journal)
    return pruned


def prune_bus(workspace: Workspace) -> Pruned | None:
    """
    Remove the sealed files of the bus in which no message is within its limits any more.

    What a durable subscription or an entity that is not hibernating has to deal with is kept, and
    what the servers of a cluster do not have yet; so are files that no checkpoint covers, and
    everything where there are no limits.

    Returns:
        What was removed; None where nothing was.
    """
    if not workspace.config.settings.bus.channels:
        return None
    journal = RecordedJournal(workspace.memory / "bus.jsonl")
    sealed = journal.sealed()
    if not sealed:
        return None
    before = min([workspace.bus.first_seq(), *_still_needed(workspace)])
    first_ends = sealed[1].begin() if len(sealed) > 1 else journal.live_begin()
    if first_ends.seq > before:
        return None
    try:
        return prune_journal(workspace, "bus", before)
    except CannotPrune:
        return None


def _still_needed(workspace: Workspace) -> Iterator[int]:
    """The first line of the bus that each has to read who reads on where it was."""
    done = workspace.bus.room.done_to(">")
    if done is not None:
        yield done + 1
    if (workspace.memory / "entities.jsonl").exists():
        manager = workspace.entities
        manager.refresh()
        for entity in manager.list_entities():
            if entity.work and entity.work.channel and entity.state != EntityState.HIBERNATING:
                yield entity.position + 1
    if workspace.cluster:
        from dino_os.cluster.membership import first_needed  # noqa: PLC0415  where there is one

        yield first_needed(workspace.cluster)


def first_line_since(workspace: Workspace, name: str, moment: float) -> int:
    """Number of the first line of that journal recorded at *moment* or later."""
    journal = RecordedJournal(workspace.named_journals([name])[0])
    for events, behind in journal.read(journal.begin()):
        if events[-1]["timestamp"] >= moment:
            first = behind.seq - len(events)
            return first + next(i for i, e in enumerate(events) if e["timestamp"] >= moment)
    return journal.length()


def export(workspace: Workspace, target: Path, names: Sequence[str]) -> list[Path]:
    """
    Copy journals, with all that verifies them, into a folder of its own; return the files.

    Raises:
        NotFound: There is no such journal.
        InvalidInput: The folder has something in it.
        OSError: The disk did not take it.
    """
    if target.exists() and any(target.iterdir()):
        raise InvalidInput(f"{target}: the folder is not empty", hint="name a new one")
    memory = target / "memory"
    memory.mkdir(parents=True, exist_ok=True)
    wanted = {path.stem for path in workspace.named_journals(names)} | {"checkpoints"}
    files = []
    auditing = Auditing(workspace)
    notes = memory / "checkpoints"
    notes.mkdir()
    for name in sorted(wanted & set(auditing.log)):
        replace_file(notes / f"{name}.note", auditing.log.latest_or_raise(name).text.encode())
    # What was signed first: nothing may be of which the lines are not there yet.
    for path in sorted(workspace.journals(), key=lambda path: path.stem != "checkpoints"):
        if path.stem in wanted:
            files += list(_copy(RecordedJournal(path), memory))
    keys = "".join(f"{key}\n" for key in auditing.log.keys)
    title = json.dumps(workspace.config.settings.system.name)  # which is YAML too, whatever it is
    for file, text in {
        memory / "workspace-id": f"{workspace.identity()}\n",
        target / "config.yaml": f"system:\n  name: {title}\n",
        target / "verifier.keys": keys,
        target / "README.txt": _HOW_TO.format(origin=workspace.origin()),
    }.items():
        replace_file(file, text.encode())
        files.append(file)
    return files


def _copy(journal: RecordedJournal, memory: Path) -> Iterator[Path]:
    """The journal's files, the live one up to what is acknowledged, and what verifies them."""
    begin = journal.live_begin()
    for sealed in journal.sealed():
        if sealed.begin().seq < begin.seq:  # else it was sealed since
            yield _copy_sealed(journal, sealed, memory)
    live = memory / journal.path.name
    with live.open("xb") as file:
        for block in journal.blocks(begin):
            first = block.events[0]
            if first["event_type"] == _NEXT_FILE and first["seq"] > begin.seq:
                break  # it was sealed since
            file.write(b"\n".join([*block.lines, b""]))
    yield live
    tree = journal.path.with_suffix(".tree")
    if tree.is_dir():
        shutil.copytree(tree, memory / tree.name)
    base = journal.path.with_suffix(".base")
    if base.exists():
        yield Path(shutil.copy2(base, memory / base.name))
    for _, value in named_files(journal):
        if value.is_file():  # else whoever verifies is told of it
            folder = memory / value.parent.name
            folder.mkdir(exist_ok=True)
            yield Path(shutil.copy2(value, folder / value.name))


def _copy_sealed(journal: RecordedJournal, sealed: Sealed, memory: Path) -> Path:
    try:
        return Path(shutil.copy2(sealed.path, memory / sealed.path.name))
    except FileNotFoundError:  # packed meanwhile
        path = next((one.path for one in journal.sealed() if one.number == sealed.number), None)
        if path is None:
            raise
        return Path(shutil.copy2(path, memory / path.name))


def _opened(workspace: Workspace, path: Path) -> Journal:
    journal: Journal = workspace.journal(path.stem)
    return journal
