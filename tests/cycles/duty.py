"""A duty desk whose cycle is configured: a skill-agent, people with outboxes, sources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engines.journal import Journal
from tests.desk import calls_text, map_text, write_desk

PUMP = {"name": "Robot", "skills": ["pump"], "available_hours": 1000, "skill": "work"}
ADA = {"name": "Ada", "skills": ["check"], "available_hours": 500, "outbox": "file:out/ada.jsonl"}
BO = {"name": "Bo", "skills": ["check"], "available_hours": 500, "outbox": "bus:duty.bo"}
CALLS = {"name": "calls", "file": "calls.csv", "map": "map.yaml"}
DROPS = {"name": "drops", "glob": "in/*.csv", "map": "map.yaml"}
ALERTS = {"name": "alerts", "alertmanager": "alerts", "map": "alerts.yaml"}
ALERTS_MAP = """\
summary: "{annotations.summary}"
identifier: fingerprint
zone: labels.zone
sector: labels.sector
severity: {column: labels.severity, table: {critical: 0.9, warning: 0.6}, default: 0.3}
skills: {column: labels.skills, default: [check]}
time: startsAt
"""
WORK = """\
from dino_os import skill


@skill
def work(task: str, zone: str, severity: float, assignment: dict, shift: str = "day") -> str:
    return task
"""


def write_duty(folder: Path, **parts: Any) -> Path:
    """Write the desk and its cycle file; *parts* replace some of it, None takes one out."""
    write_desk(folder)
    (folder / "skills").mkdir(exist_ok=True)
    (folder / "skills" / "work.py").write_text(WORK)
    (folder / "map.yaml").write_text(map_text(position=None, time=None))
    (folder / "alerts.yaml").write_text(ALERTS_MAP)
    whole = {
        "name": "duty",
        "zones": "zones.yaml",
        "sectors": "sectors.yaml",
        "agents": [PUMP, ADA, BO],
        "sources": [CALLS],
        **parts,
    }
    cycle = folder / "cycle.yaml"
    cycle.write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))
    return cycle


def drop(folder: Path, name: str, calls: Iterable[Mapping[str, str]]) -> Path:
    """Put a file of *calls* into the folder `in`."""
    (folder / "in").mkdir(exist_ok=True)
    file = folder / "in" / name
    file.write_text(calls_text(calls))
    return file


def check(id_: str, **more: str) -> dict[str, str]:
    """A call for somebody who checks."""
    return {"id": id_, "kind": "alarm", "hours": "1", **more}


def alert(name: str, status: str = "firing", began: str = "10:00:00", **labels: str) -> Any:
    return {
        "status": status,
        "labels": {"zone": "Mole", "sector": "North", "severity": "critical", **labels},
        "annotations": {"summary": f"{name} is up"},
        "startsAt": f"2027-01-15T{began}Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": name,
    }


def payload(*alerts: Any, **more: Any) -> str:
    return json.dumps(
        {
            "version": "4",
            "groupKey": "{}:{}",
            "status": "firing",
            "receiver": "dino",
            "groupLabels": {"zone": "Mole"},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager",
            "alerts": list(alerts),
            **more,
        }
    )


def events(folder: Path, journal: str, kind: str | None = None) -> list[dict[str, Any]]:
    path = folder / "memory" / f"{journal}.jsonl"
    found = [dict(event) for event in Journal(path).events()]
    return [event for event in found if kind is None or event["event_type"] == kind]


def lines(file: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in file.read_text().splitlines()]
