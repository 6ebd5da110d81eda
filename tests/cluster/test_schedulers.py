"""Schedulers of several nodes as real processes, killed and cut off: each due time runs once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.journal import RecordedJournal, verify
from tests.cluster.servers import Server, Three, needs_server, until
from tests.cluster.serving import EVERY_MS, JOBS, Clock, add_jobs, opened
from tests.conftest import REPOSITORY, environment

pytestmark = needs_server
PATIENCE_S = 60.0


class Nodes:
    """Processes that schedule the same jobs from now to *until*."""

    def __init__(self, folder: Path, url: str, names: str, seconds: float, **skew_s: float) -> None:
        self.folder, self.url, self.skew_s = folder, url, skew_s
        self.since = time.time()
        self.until = round(self.since + seconds)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.namespace = folder.name[-20:].replace("_", "-").strip("-").lower()
        for name in names:
            site = opened(folder, url, name, self.namespace, Clock(self.until))
            add_jobs(site)
            site.desk.jobs.align()
            site.close()

    def start(self, *names: str, when: str | None = None) -> None:
        """Start them; they kill themselves *when* they hold their first claims."""
        for name in names:
            self._start(name, *([when] if when else []))

    def _start(self, name: str, *when: str) -> None:
        arguments = [str(self.folder), self.url, name, self.namespace]
        arguments += [str(self.until), str(self.skew_s.get(name, 0.0)), *when]
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.serving", *arguments],
            env=environment(PYTHONPATH=str(REPOSITORY)),
            cwd=REPOSITORY,
        )

    def signal(self, name: str, how: signal.Signals) -> None:
        self.processes[name].send_signal(how)
        if how == signal.SIGKILL:
            self.processes[name].wait()

    def leader(self) -> str | None:
        """Who fires next; None where there is nothing left to."""
        before = {name: self.count(name) for name in self.processes}
        found: list[str] = []

        def fires() -> bool:
            found[:] = [name for name in self.processes if self.count(name) > before[name]]
            return bool(found) or self.is_done

        until(fires, "nobody fires")
        return found[0] if found else None

    @property
    def is_done(self) -> bool:
        return all(process.poll() is not None for process in self.processes.values())

    def count(self, name: str) -> int:
        journal = self.folder / name / "scheduler.jsonl"
        return journal.read_bytes().count(b'"occurrence_submitted"')

    def finish(self) -> None:
        for name, process in self.processes.items():
            assert process.wait(PATIENCE_S) == 0, name

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def check(self) -> Counter[str]:
        """Each due time was submitted by one node, and ended in one state on each of them."""
        submitted: Counter[tuple[str, float]] = Counter()
        by: Counter[str] = Counter()
        wanted = set(self.wanted())
        for name in self.processes:
            journal = self.folder / name / "scheduler.jsonl"
            ran, others = read(journal)
            assert len(ran) == len(set(ran)), name
            assert not set(ran) & others, name
            assert set(ran) | others >= wanted, (name, sorted(wanted - set(ran) - others)[:5])
            submitted.update(ran)
            by[name] = len(ran)
            assert verify(journal).ok
        assert {time: n for time, n in submitted.items() if n > 1} == {}
        assert set(submitted) >= wanted
        return by

    def wanted(self) -> Iterator[tuple[str, float]]:
        first = (int(self.since * 1000) // EVERY_MS + 10) * EVERY_MS
        for number in range(JOBS):
            for due in range(first, int(self.until * 1000) + 1, EVERY_MS):
                yield f"job-{number}", due / 1000


def read(journal: Path) -> tuple[list[tuple[str, float]], set[tuple[str, float]]]:
    """The due times that a node ran, and those that others did."""
    names: dict[str, str] = {}
    ran: list[tuple[str, float]] = []
    others: set[tuple[str, float]] = set()
    for event in RecordedJournal(journal).events():
        kind: str = event["event_type"]
        if kind == "job_added":
            names[event["job_id"]] = event["name"]
        elif kind == "occurrence_submitted":
            ran.append((names[event["job_id"]], event["due"]))
        elif kind == "occurrence_taken_over":
            others.add((names[event["job_id"]], event["due"]))
        elif kind == "occurrences_elsewhere":
            row = {(names[event["job_id"]], due) for due in dues(event)}
            assert not row & others
            others |= row
        assert kind != "occurrences_skipped", dict(event)
    return ran, others


def dues(event: Any) -> list[float]:
    first = round(event["first"] * 1000)
    return [(first + n * EVERY_MS) / 1000 for n in range(event["count"])]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    made: list[Nodes] = []

    def make(url: str, names: str, seconds: float, **skew_s: float) -> Nodes:
        made.append(Nodes(tmp_path, url, names, seconds, **skew_s))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_leaders_that_are_killed_or_stopped_lose_and_double_nothing(
    nodes: Callable[..., Nodes], server: Server
) -> None:
    """kill -9 at any moment; one that stood still goes on as if nothing had been."""
    found = nodes(server.url, "abc", 9.0)
    found.start("a", "b", "c")
    for how in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL):
        victim = found.leader()
        if victim is None:  # a slow machine: there was no time for more
            break
        found.signal(victim, how)
        found.leader()  # another has taken its place
        if how == signal.SIGKILL:
            found.start(victim)
        else:
            found.signal(victim, signal.SIGCONT)
    found.finish()
    by = found.check()
    assert sum(count > 0 for count in by.values()) > 1


@pytest.mark.parametrize("when", ["begun", "recorded", "fired"])
def test_a_leader_that_is_killed_between_claim_and_run_loses_nothing(
    nodes: Callable[..., Nodes], server: Server, when: str
) -> None:
    """What it had begun, another takes over; what it had said it fires, it fires when it is back."""
    found = nodes(server.url, "ab", 2.0)
    found.start("a", when=when)
    until(lambda: found.processes["a"].poll() is not None, "it does not kill itself")
    assert found.processes["a"].returncode == -signal.SIGKILL
    assert found.count("a") == 0
    found.start("b")
    assert found.processes["b"].wait(PATIENCE_S) == 0
    found.start("a")
    found.finish()
    by = found.check()
    # On a slow machine all was due at once, or b's time was up before all was.
    assert by["a" if when == "fired" else "b"] > 0


def test_servers_that_are_killed_lose_and_double_nothing(
    nodes: Callable[..., Nodes], three: Three
) -> None:
    found = nodes(three.url, "ab", 9.0)
    found.start("a", "b")
    found.leader()
    for victim in three.servers[:2]:
        victim.kill()
        found.leader()
        victim.start()
        three.start()
    found.finish()
    found.check()


def test_a_node_whose_clock_is_ahead_doubles_nothing(
    nodes: Callable[..., Nodes], server: Server
) -> None:
    found = nodes(server.url, "abc", 5.0, c=3600.0)
    found.start("a", "b", "c")
    victim = found.leader()
    assert victim
    found.signal(victim, signal.SIGKILL)
    found.start(victim)
    found.finish()
    found.check()
