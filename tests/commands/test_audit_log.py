"""`audit log`: what was recorded, oldest first, as far as it was asked for."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal, Rotation
from tests.audit.office import ZONE, flip, told, with_zones
from tests.conftest import Dino

BEGAN = 1_789_412_345


@pytest.fixture
def memory(workspace: Path) -> Path:
    """Two journals in several files, whose events came in turn, a minute apart."""
    memory, ticks = workspace / "memory", itertools.count(BEGAN, 60)
    memory.mkdir()
    journals = [
        Journal(memory / f"{name}.jsonl", clock=lambda: next(ticks), rotation=Rotation(1500))
        for name in ("runs", "zones")
    ]
    for number in range(15):
        for journal in journals:
            journal.append("odd" if number % 2 else "even", {"n": number, "text": f"pump {number}"})
    return memory


def numbers(lines: str) -> list[int]:
    return [event["n"] for event in map(json.loads, lines.splitlines()) if "n" in event]


def stamp(minutes: int) -> str:
    return datetime.fromtimestamp(BEGAN + minutes * 60, UTC).isoformat()


def test_json_is_every_line_as_it_was_recorded(audit: Dino, memory: Path) -> None:
    """Byte for byte, through all files."""
    blocks = RecordedJournal(memory / "zones.jsonl").blocks()
    lines = b"".join(line + b"\n" for block in blocks for line in block.lines)
    assert audit("log", "zones", "-n", 0, "--json").out.encode() == lines


def test_several_journals_are_merged_by_time(audit: Dino, memory: Path) -> None:
    """With their names, where there is more than one."""
    merged = [json.loads(line) for line in audit("log", "-n", 0, "--json").out.splitlines()]
    times = [event["timestamp"] for event in merged]
    assert times == sorted(times)
    assert sum("n" in event for event in merged) == 30
    text = audit("log", "-n", 4).out.splitlines()
    assert len(text) == 4
    assert text[-1].split()[1].startswith("zones:")
    assert text[-1].endswith('n=14 text="pump 14"')
    (alone,) = audit("log", "zones", "-n", 1).out.splitlines()
    assert alone.split()[1].isdigit()
    assert alone.startswith("2026-")


ASKED: dict[str, tuple[tuple[object, ...], list[int]]] = {
    "the-last-three": (("-n", 3), [12, 13, 14]),
    "a-type": (("--type", "odd", "-n", 3), [9, 11, 13]),
    "two-types": (("--type", "odd", "--type", "even", "-n", 2), [13, 14]),
    "no-such-type": (("--type", "strange"), []),
    "a-pattern": (("--grep", "pump 1[0-2]"), [10, 11, 12]),
    "a-pattern-of-bytes": (("--grep", '"n":7,'), [7]),
    "a-pattern-and-a-type": (("--grep", "pump 1[0-2]", "--type", "odd"), [11]),
}


@pytest.mark.parametrize(("words", "found"), ASKED.values(), ids=ASKED)
def test_only_what_was_asked_for_is_shown(
    inside: Dino, memory: Path, words: tuple[object, ...], found: list[int]
) -> None:
    assert numbers(inside("log", "zones", *words, "--json").out) == found


def test_a_time_bounds_what_is_shown(audit: Dino, memory: Path) -> None:
    """Both ends included; a date, a time with or without zone, or an age."""
    everything = list(RecordedJournal(memory / "zones.jsonl").events())
    times = {e["n"]: e["timestamp"] for e in everything if "n" in e}
    begin, end = (datetime.fromtimestamp(times[n], UTC) for n in (5, 8))
    words = ("--since", begin.isoformat(), "--until", end.isoformat())
    assert numbers(audit("log", "zones", *words, "--json").out) == [5, 6, 7, 8]
    naive = begin.replace(tzinfo=None).isoformat()
    assert numbers(audit("log", "zones", "--since", naive, "-n", 0, "--json").out)[0] == 5
    assert audit("log", "--since", "3000-01-01").out == ""
    assert numbers(audit("log", "zones", "--since", "36500d", "-n", 1, "--json").out) == [14]


def test_what_a_terminal_must_not_see_is_pictured(audit: Dino, workspace: Path) -> None:
    with_zones(workspace).zones.record_event(ZONE, kind="enter", note="\x1b[2Jgone\u202e")
    text = audit("log", "zones", "-n", 1).out
    assert "gone" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_following_shows_what_comes(
    workspace: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """From several events on, across a file that was sealed meanwhile."""
    site = with_zones(workspace, 1)
    process = started("audit", "log", "zones", "--follow", "--type", "zone_event", "--json")
    assert json.loads(process.stdout.readline())["note"] == "call 0"
    journal = site.journal("zones")
    with journal.locked():
        journal.rotate()
    for number in range(3):
        Workspace(workspace).zones.record_event(ZONE, kind="exit", note=f"later {number}")
    shown = [json.loads(process.stdout.readline())["note"] for _ in range(3)]
    assert shown == ["later 0", "later 1", "later 2"]


def test_a_pruned_journal_is_shown_from_where_it_begins(audit: Dino, memory: Path) -> None:
    first = min(memory.glob("zones.0*"))
    gone = len(first.read_bytes().splitlines())
    first.unlink()
    lines = audit("log", "zones", "-n", 0, "--json").out.splitlines()
    assert json.loads(lines[0])["seq"] == gone


BAD = {
    "a-journal-unknown": (("zone",), "did you mean 'zones'"),
    "no-pattern": (("--grep", "("), "is not a regular expression"),
    "no-time": (("--since", "soon"), "neither a time"),
    "no-age": (("--until", "5 parsecs"), "neither a time"),
    "an-age-beyond-all-measure": (("--since", "9" * 400 + "d"), "neither a time"),
    "no-count": (("-n", "-1"), "-1"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_told(inside: Dino, memory: Path, words: tuple[str, ...], says: str) -> None:
    assert says in told(inside("log", *words, code=2))


def test_a_broken_journal_is_not_shown_as_if_it_stood(audit: Dino, memory: Path) -> None:
    flip(memory / "zones.jsonl", 60)
    outcome = audit("log", "zones", "-n", 0, code=1)
    assert "zones.jsonl:1: edited" in outcome.err
