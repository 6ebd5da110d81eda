"""Real processes that share a journal and are killed with no warning; none outlives its test."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.audit import CheckpointLog, SignerKey, Statement, audit, parse_note, save_key
from engines.journal import Event, Journal, verify
from tests.crash.nursery import Life, Nursery
from tests.crash.programs.lives import Doing

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


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("said"))
    yield nursery
    nursery.close()


class Siege:
    """A journal, those who write to it, what they acknowledged, and how they are killed."""

    def __init__(self, path: Path, nursery: Nursery) -> None:
        self.path = path
        self._nursery = nursery
        self._acked: list[str] = []
        self._signed: list[str] = []
        self.signer = SignerKey.new("dino.local/killed")
        save_key(path.with_name("signing.key"), self.signer)

    def start(self, name: str) -> Life:
        return self._nursery.start("lives", "write", self.path, name, self._doing(name), name=name)

    def kill(self, life: Life) -> str:
        """End it without any chance to tidy up; what it was doing then."""
        life.kill()
        code = life.wait()
        said = life.said
        assert code == -signal.SIGKILL, said[-1].get("why") or said[-1]
        self._acked += [digest for words in said for digest in words.get("acked", ())]
        self._signed += [words["signed"] for words in said if "signed" in words]
        return Doing.last(self._doing(life.name))

    def _doing(self, name: str) -> Path:
        return self.path.with_name(f"doing-{name}")

    def check(self) -> None:
        """What the next process finds: every acknowledged event once, no batch by half."""
        Journal(self.path).append("reopened")
        report = verify(self.path)
        assert report.ok, report.verdict
        events = list(Journal(self.path).events())
        assert len(events) >= report.lines
        there = Counter(event["event_hash"] for event in events)
        assert [digest for digest in self._acked if there[digest] != 1] == []
        noted = [event for event in events if event["event_type"] == "noted"]
        assert Counter(e["batch"] for e in noted) == {e["batch"]: e["of"] for e in noted}
        self._check_evidence(events)

    def _check_evidence(self, events: list[Event]) -> None:
        """Each recovery says what it moved, and that is what lies in the folder."""
        for event in events:
            if event["event_type"] == "journal_recovered":
                kept = self.path.with_name(event["kept_in"]).read_bytes()
                assert len(kept) == event["set_aside_bytes"]
                assert hashlib.sha256(kept).hexdigest() == event["set_aside_sha256"]

    def check_signed(self) -> None:
        """All notes that anybody got, and all that are on record, speak of the one history."""
        log = CheckpointLog(Journal(self.path.with_name("checkpoints.jsonl")))
        on_record = [signed.text for signed in log.of(self.path.stem)]
        assert set(self._signed) <= set(on_record)
        statements = [Statement(parse_note(text), [self.signer.verifier]) for text in on_record]
        found = audit(self.path, statements)
        assert found.ok, found.faults


@pytest.fixture
def siege(path: Path, nursery: Nursery) -> Siege:
    return Siege(path, nursery)
