"""What a signal stands for: its task, the facts recorded of it, and the places it brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from engines import checks
from engines.assign import AssignableTask, Crowd
from engines.errors import InvalidInput
from engines.journal import VolatileJournal
from engines.names import Names
from engines.orchestrator.strain import Facts, Latest
from engines.personas import PersonaSignal
from engines.space import SpaceSector
from engines.spool import Spool
from engines.zone import Zone, ZoneNotFoundError

HELD_UP_TO = 20_000
"""So many tasks are held as they are; of more only what the greedy rule asks for."""

_unwelcome_in_slugs = re.compile(r"[^\w]+|_+")


class Translated:
    """
    Signals as they are taken in: each its task, what the record says of it, and its places.

    Args:
        horizon: How many of a sector's last signals its stability is judged by.

    Attributes:
        names: The identifiers of their tasks.
        held: The tasks; None where there are more than `HELD_UP_TO`.
        crowd: What the greedy rule asks of them.
        zones, sectors: Name → the first signal that lies there.
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.names = Names()
        self.held: list[AssignableTask] | None = []
        self.crowd = Crowd()
        self._kept: Spool[tuple[Facts, str]] = Spool()
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
        task = task_of(signal, len(self))
        facts = facts_of(task, signal)
        # Places are registered before the cycle is recorded; what cannot be must show before both.
        read_back = self._trial.stage("task_planned", facts)
        self._kept.append(({name: read_back[name] for name in facts}, signal.persona))
        self.names.append(task.identifier)
        self.crowd.add(task)
        if self.held is not None:
            self.held.append(task)
            if len(self.held) > HELD_UP_TO:
                self.held = None
        self.latest.add(facts)
        self.zones.setdefault(signal.zone, signal)
        self.sectors.setdefault(signal.sector, signal)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def facts(self) -> Iterator[Facts]:
        """What the record says of each, from the first one on."""
        return (facts for facts, _ in self._kept)

    def tasks(self, places: Sequence[int]) -> Iterator[AssignableTask]:
        """The tasks of these places, made anew."""
        return (_task_again(*kept) for kept in self._kept.at(places))

    def check_names(self) -> None:
        """
        Raises:
            InvalidInput: Two tasks are of one name.
        """
        for place in sorted(self.names.twins())[:1]:
            (task,) = self.tasks([place])
            raise InvalidInput(
                f"two tasks are named {task.identifier!r}; each needs a name of its own"
            )


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


def _task_again(facts: Facts, persona: str) -> AssignableTask:
    places = {name: facts[name] for name in ("zone", "sector", "severity")}
    return AssignableTask(
        identifier=facts["task_id"],
        description=facts["summary"],
        priority=facts["severity"],
        required_skills=tuple(facts["required_skills"]),
        estimated_effort_hours=facts["estimated_effort_hours"],
        metadata={
            "source": "persona_signal",
            **facts["metadata"],
            "persona": persona,
            **places,
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
