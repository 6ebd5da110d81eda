"""
Large values: files in a folder beside a journal, each named by the SHA-256 of its bytes.

A file is on the disk before the event that names it, and what is read is held against its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import orjson

from engines.durable import make_folder, replace_file, sync_folder
from engines.errors import DinoError, JournalWriteFailed
from engines.journal import Journal, RecordedJournal

FOLDERS: Mapping[str, str] = {"agent_log": "transcripts", "engine_state": "results"}
"""Journal → the folder of its large values, beside it."""

# As the journal writes: nothing that would come back as something else.
_JSON_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

_digests = re.compile(rb'"([0-9a-f]{64})"').findall


class FiledBroken(DinoError):
    """The file of a large value is not there, or not as it was recorded."""


class Filed:
    """
    The files of one journal.

    Args:
        folder: One of `FOLDERS`; None where there are no files, as with a journal in memory.
        most: Bytes of JSON from which on a value lies in a file.
        writes: Whether there may be new ones: a rehearsal only reads.
        what: What such a value is called.
        unrecorded: What a failed write means.
    """

    broken: ClassVar[type[FiledBroken]] = FiledBroken

    def __init__(
        self, folder: Path | None, most: int, *, writes: bool, what: str, unrecorded: str
    ) -> None:
        self._folder = folder or Path()
        self._most = most
        self._writes = writes and folder is not None
        self._what = what
        self._unrecorded = unrecorded

    def keep(self, name: str, value: Any) -> dict[str, Any]:
        """
        What the event says of *value*: itself, or the name and size of its file, which is written.

        Only under the journal's lock: then nobody else writes the same file.

        Raises:
            JournalWriteFailed: The disk did not take it.
        """
        if value is None:
            return {}
        content = as_json(value)
        if not self._writes or content is None or len(content) <= self._most:
            return {name: value}
        digest = sha256(content).hexdigest()
        self._write(self._file(digest), content)
        return {f"{name}_sha256": digest, f"{name}_bytes": len(content)}

    def kept(self, name: str, event: Mapping[str, Any]) -> Any:
        """
        The value of that name of which `keep` made a part of *event*; None where there was none.

        Raises:
            FiledBroken: Its file is not there, or not as it was recorded.
        """
        digest = event.get(f"{name}_sha256")
        return self.load(digest) if digest else event.get(name)

    def load(self, digest: str) -> Any:
        """
        The value in the file of that name.

        Raises:
            FiledBroken: It is not there, or not as it was recorded.
        """
        return json.loads(_content(self._file(digest), self._what, self.broken))

    def _write(self, file: Path, content: bytes) -> None:
        try:
            make_folder(file.parent)
            if file.is_file() and file.read_bytes() == content:
                sync_folder(file.parent)  # whoever wrote it may have been killed before that
            else:
                replace_file(file, content, 0o644)
        except OSError as error:
            raise JournalWriteFailed(
                f"{file}: {self._what} was not written: {error.strerror}; {self._unrecorded}"
            ) from error

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def broken_file(journal: RecordedJournal) -> tuple[int, str] | None:
    """The first line of *journal* whose file is not as it was recorded, and how that is."""
    for seq, file in named_files(journal):
        try:
            _content(file, "a large value")
        except FiledBroken as error:
            return seq, error.message
    return None


def named_files(journal: RecordedJournal) -> Iterator[tuple[int, Path]]:
    """The files that lines of *journal* have in place of values, each with the first such line."""
    folder = FOLDERS.get(journal.name)
    if folder is None:
        return
    seen = set[str]()
    for events, _ in journal.read(journal.begin()):
        for event in events:
            for name in _named_in(event):
                if name not in seen:
                    seen.add(name)
                    yield event["seq"], journal.path.with_name(folder) / f"{name}.json"


def drop_unnamed(journal: Journal) -> int:
    """
    Remove the files that *journal* has no use for any more, having been pruned; how many.

    Those stay that a line names, or the state that stands for the lines that are gone.
    """
    name = FOLDERS.get(journal.name)
    if name is None:
        return 0
    folder, base = journal.path.with_name(name), journal.path.with_suffix(".base")
    with journal.locked():  # so that no file waits for the line that will name it
        kept = {file.stem for _, file in named_files(journal)}
        if base.exists():
            kept.update(digest.decode() for digest in _digests(base.read_bytes()))
        unnamed = [file for file in folder.glob(f"{'?' * 64}.json") if file.stem not in kept]
        for file in unnamed:
            file.unlink()
    return len(unnamed)


def _named_in(event: Mapping[str, Any]) -> Iterator[str]:
    """The names of the files that *event* has in place of values."""
    for key, digest in event.items():
        name, is_one, _ = key.rpartition("_sha256")
        if is_one and f"{name}_bytes" in event:
            yield digest


def _content(file: Path, what: str, broken: type[FiledBroken] = FiledBroken) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise broken(f"{file}: {what} cannot be read: {error.strerror}") from None
    if sha256(content).hexdigest() != file.stem:
        raise broken(f"{file}: {what} was altered: its bytes are not those recorded")
    return content


def as_json(value: Any) -> bytes | None:
    """*value* as JSON, or None where it is none: the journal says why when it is to be recorded."""
    try:
        content = orjson.dumps(value, option=_JSON_ONLY)
        if b"null" in content:  # which is how orjson writes a NaN
            json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return content
