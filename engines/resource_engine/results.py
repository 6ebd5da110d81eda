"""The results of tasks: large ones lie in files below `results/` beside the journal."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self

from engines.filed import Filed, FiledBroken
from engines.resource_engine.model import Task


class ResultBroken(FiledBroken):
    """The file of a large result is not there, or not as it was recorded."""


class Results(Filed):
    """The files of one journal; see `Filed`."""

    broken: ClassVar[type[FiledBroken]] = ResultBroken

    def __init__(self, folder: Path | None, most: int, *, writes: bool) -> None:
        what, unrecorded = "a result", "its task is not recorded"
        super().__init__(folder, most, writes=writes, what=what, unrecorded=unrecorded)


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
