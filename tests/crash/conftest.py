"""Real processes that share a journal and are killed with no warning; none outlives its test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.journal import verify

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

Start = Callable[..., "Program"]


class Program:
    """A program of `programs/` and what it has said so far, one acknowledgement per line."""

    def __init__(self, name: str, *args: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "programs" / f"{name}.py"), *map(str, args)],
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        )
        self.said: list[str] = []

    def next_line(self) -> str | None:
        """Wait for one more line; None when the program has ended."""
        line = self.process.stdout.readline().decode()
        if not line.endswith("\n"):  # one that was cut off is no acknowledgement
            return None
        self.said.append(line[:-1])
        return line[:-1]

    def read_lines(self, count: int) -> None:
        for _ in range(count):
            assert self.next_line() is not None

    def kill(self) -> list[str]:
        """End it without any chance to tidy up; what it had said until then is in `said`."""
        self.process.kill()
        return self._drain()

    def finish(self) -> list[str]:
        """Wait until it is done, which it must be without an error."""
        said = self._drain()
        assert self.process.returncode == 0
        return said

    def _drain(self) -> list[str]:
        while self.next_line() is not None:
            pass
        self.process.wait()
        self.process.stdout.close()
        return self.said


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program; whatever still runs at the end of the test is ended."""
    programs: list[Program] = []

    def start(name: str, *args: object) -> Program:
        programs.append(Program(name, *args))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.returncode is None:
            program.kill()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the journal of the test lies; whatever happened to it, it verifies in the end."""
    path = tmp_path / "shared.jsonl"
    yield path
    report = verify(path)
    assert report.ok, report.verdict
