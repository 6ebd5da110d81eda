"""The log triager: templates, times, severities, bursts and causes, of any size and form."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from skills.log_triage import log_triage

BEGAN = datetime(2026, 11, 20, 6, tzinfo=UTC)
TROUBLE = BEGAN + timedelta(hours=1)


def triage(folder: Path, lines: list[str], **more: Any) -> dict[str, Any]:
    file = folder / "app.log"
    file.write_text("\n".join(lines) + "\n")
    return log_triage(file, model=False, **more)


def an_incident(chance: Random) -> list[str]:
    """Two hours of requests; connections are refused from 07:00 on, behind a reload."""
    told = []
    for second in range(0, 7200, 4):
        at = BEGAN + timedelta(seconds=second)
        host, item = chance.randint(1, 99), chance.randint(1, 9999)
        told.append((at, f"INFO http 10.0.0.{host} GET /items/{item} in {host} ms"))
    reload = TROUBLE - timedelta(seconds=20)
    told.append((reload, "WARNING pool: configuration reloaded, max_connections 100 -> 5"))
    for second in range(60):
        at = TROUBLE + timedelta(seconds=second)
        users = (chance.randint(1, 500) for _ in range(5))
        told += [(at, f"ERROR db: connection refused for user u{user}") for user in users]
    return [f"{at.isoformat()} {text}" for at, text in sorted(told)]


def test_the_gravest_template_comes_first_with_its_burst_and_its_cause(
    tmp_path: Path, chance: Random
) -> None:
    found = triage(tmp_path, an_incident(chance))
    assert found["severities"] == {"error": 300, "warning": 1, "info": 1800}
    assert [group["count"] for group in found["groups"]] == [300, 1, 1800]
    gravest = found["groups"][0]
    assert gravest["template"] == "ERROR db: connection refused for user <*>"
    assert gravest["first"] == "2026-11-20T07:00:00+00:00"
    (burst,) = gravest["bursts"]
    assert (burst["from"], burst["lines"]) == ("2026-11-20T07:00:00+00:00", 300)
    assert found["groups"][2]["bursts"] == []
    (cause,) = found["causes"]
    assert "configuration reloaded" in cause["candidate"]
    assert cause["why"] == "first seen 20 s before, warning, speaks of 'config'"
    assert found["model"] == {"used": False, "why": "not asked"}


@pytest.mark.parametrize(
    ("line", "at", "severity", "template"),
    [
        (
            "2026-11-20 06:00:00,123 ERROR it broke",
            "2026-11-20T06:00:00",
            "error",
            "ERROR it broke",
        ),
        ("2026-11-20T08:00:00+02:00 CRITICAL x", "2026-11-20T06:00:00", "critical", "CRITICAL x"),
        ("Nov 20 06:00:00 host sshd[7]: warning", "2000-11-20T06:00:00", "warning", None),
        (
            '1.2.3.4 - - [20/Nov/2026:07:00:00 +0100] "GET / HTTP/1.1" 503 9',
            "2026-11-20T06:00:00",
            "error",
            "<address> - - <text> <n> <n>",
        ),
        ('{"ts": 1795154400.5, "level": "warn", "msg": "low"}', "2026-11-20", "warning", "low"),
        ("1795154400 disk is full, cannot write", "2026-11-20", "error", None),
        (
            "status installed libgpg-error0:amd64 1.46-1",
            None,
            "info",
            "status installed <*> <n><n>",
        ),
        ("{not json at all", None, "info", None),
        ("", None, None, None),
    ],
)
def test_the_usual_forms_are_read(
    tmp_path: Path, line: str, at: str | None, severity: str | None, template: str | None
) -> None:
    found = triage(tmp_path, [line])
    assert (found["from"] or "").startswith(at or "")
    assert list(found["severities"]) == [severity] * (severity is not None)
    if template:
        assert found["groups"][0]["template"] == template


def test_a_stack_trace_belongs_to_its_line(tmp_path: Path) -> None:
    found = triage(tmp_path, ["ERROR failed", "  File 'a.py', line 3", "\tat b.c(D.java:4)"])
    assert (found["lines"], found["continued_lines"], found["templates"]) == (3, 2, 1)


def test_a_packed_log_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "old.log.gz"
    content = b"ERROR a\nERROR a\n\xff\xfe\n" * 99
    file.write_bytes(gzip.compress(content))
    found = log_triage(file, model=False)
    assert (found["lines"], found["groups"][0]["count"], found["damaged"]) == (297, 198, None)
    file.write_bytes(gzip.compress(content)[:-9])
    cut = log_triage(file, model=False)
    assert cut["groups"] == found["groups"]
    assert cut["damaged"].startswith("behind line 297: ")
    file.write_bytes("2026-11-20 06:00:00 ERROR a\r\n".encode("utf-16"))
    assert log_triage(file, model=False)["groups"][0]["template"] == "ERROR a"


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ('{"ts": 1795154400123}', "2026-11-20T06:00:00+00:00"),
        ('{"ts": 1795154400123456789}', "2026-11-20T06:00:00+00:00"),
        ('{"ts": NaN}', None),
        ('{"ts": 1e400}', None),
        ('{"ts": -1e11}', None),
        (f'{{"ts": {"9" * 400}}}', None),
        ('{"a":' + "[" * 3_900, None),
        ("0001-01-01T00:00:00+14:00 x", None),
        ("9999-12-31T23:59:59-14:00 x", None),
    ],
)
def test_odd_times_are_read_or_are_none(tmp_path: Path, line: str, at: str | None) -> None:
    assert triage(tmp_path, [line])["from"] == at


def test_many_templates_and_long_lines_stay_in_bounds(tmp_path: Path, chance: Random) -> None:
    """Each line another template, one of a megabyte: what has no room is counted together."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    lines = [
        " ".join("".join(chance.choices(letters, k=5)) for _ in range(6)) for _ in range(1_000)
    ]
    file = tmp_path / "app.log"
    wide = " ".join("ab" * 2_000)
    file.write_text("\n".join(["x" * 2**20, *lines, *(f"{n} {wide}" for n in lines[:200])]))
    tracemalloc.start()
    found = log_triage(file, top=5_000, model=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(group["count"] for group in found["groups"]) == found["lines"] == 1_201
    assert most < 8 * 2**20


def test_what_came_up_before_is_found_without_times(tmp_path: Path) -> None:
    lines = [f"INFO step {n}" for n in range(500)]
    lines += ["WARNING certificate expired", "ERROR handshake failed"]
    (cause,) = triage(tmp_path, lines)["causes"]
    assert cause["candidate"] == "WARNING certificate expired"
    assert json.dumps(cause)
