"""
Large results: files below `results/` beside the journal, each named by the SHA-256 of its bytes.

A file is on the disk before the event that names it, and what is read is held against its name.
"""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from engines.durable import make_folder, replace_file, sync_folder
from engines.errors import DinoError, JournalWriteFailed
from engines.resource_engine.model import Task
from engines.resource_engine.rows import as_json


class ResultBroken(DinoError):
    """The file of a large result is not there, or not as it was recorded."""


class Results:
    """
    The files of one journal.

    Args:
        folder: Where they lie; None where there are none, as with a journal in memory.
        most: Bytes of JSON from which on a result lies in a file.
        writes: Whether there may be new ones: a rehearsal only reads.
    """

    def __init__(self, folder: Path | None, most: int, *, writes: bool) -> None:
        self._folder = folder
        self._most = most
        self._writes = writes and folder is not None

    def keep(self, result: Any) -> dict[str, Any]:
        """
        What the event says of *result*: itself, or the name and size of its file, which is written.

        Only under the journal's lock: then nobody else writes the same file.

        Raises:
            JournalWriteFailed: The disk did not take it.
        """
        if result is None:
            return {}
        content = as_json(result)
        if not self._writes or content is None or len(content) <= self._most:
            return {"result": result}
        name = sha256(content).hexdigest()
        self._write(self._file(name), content)
        return {"result_sha256": name, "result_bytes": len(content)}

    def load(self, name: str) -> Any:
        """
        The result in the file of that name.

        Raises:
            ResultBroken: It is not there, or not as it was recorded.
        """
        file = self._file(name)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ResultBroken(f"{file}: a result cannot be read: {error.strerror}") from None
        if sha256(content).hexdigest() != name:
            raise ResultBroken(f"{file}: a result was altered: its bytes are not those recorded")
        return json.loads(content)

    def _write(self, file: Path, content: bytes) -> None:
        try:
            make_folder(file.parent)
            if file.is_file() and file.read_bytes() == content:
                sync_folder(file.parent)  # whoever wrote it may have been killed before that
            else:
                replace_file(file, content, 0o644)
        except OSError as error:
            raise JournalWriteFailed(
                f"{file}: a result was not written: {error.strerror}; its task is not recorded"
            ) from error

    def _file(self, name: str) -> Path:
        return (self._folder or Path("results")) / f"{name}.json"


class FiledTask(Task):
    """A task whose result lies in a file, which is read when somebody asks for it."""

    __slots__ = ("_results",)
    _results: Results

    @classmethod
    def of(cls, task: Task, results: Results) -> Self:
        found = object.__new__(cls)
        found._results = results
        for one in fields(Task):
            if one.name != "result":
                setattr(found, one.name, getattr(task, one.name))
        return found

    def __getattr__(self, name: str) -> Any:
        """Asked where a slot is empty, as that of the result is at first."""
        if name != "result":
            raise AttributeError(name)
        try:
            self.result = self._results.load(self.result_sha256 or "")
        except ResultBroken as error:
            raise ResultBroken(f"task {self.task_id!r}: {error.message}") from None
        return self.result
