"""What a signal stands for: its task, the facts recorded of it, and the places it brings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from engines import checks
from engines.assign import AssignableTask
from engines.journal import VolatileJournal
from engines.orchestrator.strain import Facts, Latest
from engines.personas import PersonaSignal
from engines.space import SpaceSector
from engines.spool import Spool
from engines.zone import Zone, ZoneNotFoundError

_unwelcome_in_slugs = re.compile(r"[^\w]+|_+")


class Translated:
    """
    Signals as they are taken in: each its task, what the record says of it, and its places.

    Args:
        horizon: How many of a sector's last signals its stability is judged by.

    Attributes:
        zones, sectors: Name → the first signal that lies there.
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.tasks: list[AssignableTask] = []
        self.facts: Spool[Facts] = Spool()
        self.zones: dict[str, PersonaSignal] = {}
        self.sectors: dict[str, PersonaSignal] = {}
        self.latest = Latest(horizon)
        self._trial = VolatileJournal()

    def add(self, signal: PersonaSignal) -> None:
        """
        Take one more.

        Raises:
            InvalidInput: It cannot be written down.
        """
        task = task_of(signal, len(self.tasks))
        facts = facts_of(task, signal)
        # Places are registered before the cycle is recorded; what cannot be must show before both.
        read_back = self._trial.stage("task_planned", facts)
        self.facts.append({name: read_back[name] for name in facts})
        self.tasks.append(task)
        self.latest.add(facts)
        self.zones.setdefault(signal.zone, signal)
        self.sectors.setdefault(signal.sector, signal)


def task_of(signal: PersonaSignal, index: int) -> AssignableTask:
    slug = _unwelcome_in_slugs.sub("-", f"{signal.zone} {signal.persona} {index + 1}".lower())
    return AssignableTask(
        identifier=signal.task_identifier or slug.strip("-"),
        description=signal.summary,
        priority=signal.severity,
        required_skills=signal.required_skills,
        estimated_effort_hours=signal.estimated_effort_hours,
        metadata={
            "source": "persona_signal",
            **(signal.metadata or {}),
            "persona": signal.persona,
            "zone": signal.zone,
            "sector": signal.sector,
            "severity": signal.severity,
        },
    )


def facts_of(task: AssignableTask, signal: PersonaSignal) -> dict[str, Any]:
    """What the record says of a task, whoever gets it."""
    return {
        "task_id": task.identifier,
        "zone": signal.zone,
        "sector": signal.sector,
        "severity": signal.severity,
        "summary": signal.summary,
        "required_skills": list(signal.required_skills),
        "estimated_effort_hours": signal.estimated_effort_hours,
        "seen_at": signal.timestamp.timestamp() if signal.timestamp else None,
        "metadata": dict(signal.metadata or {}),
    }


def zone_of(signal: PersonaSignal) -> Zone:
    configuration = signal.zone_configuration
    if configuration is None:
        raise ZoneNotFoundError(
            f"signal {signal.summary!r}: no zone named {signal.zone!r}",
            hint="register the zone first, or give the signal a zone_configuration",
        )
    if isinstance(configuration, Zone):
        return replace(configuration, name=signal.zone)
    unit_square = {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}
    return checks.built(
        Zone, {"boundary": unit_square, **configuration, "name": signal.zone}, "zone_configuration"
    )


def sector_of(signal: PersonaSignal) -> SpaceSector:
    configuration = signal.sector_configuration
    if isinstance(configuration, SpaceSector):
        return replace(configuration, name=signal.sector)
    placeholder = {"hazard_index": max(signal.severity, 0.3), "supply_level": 0.5}
    return checks.built(
        SpaceSector,
        {**(configuration or placeholder), "name": signal.sector},
        "sector_configuration",
    )
