"""Which lines of which journals are taken over, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dino_os.provenance.mapping import data, models, planning, trust, work
from dino_os.provenance.mapping.terms import Mapper, told_apart
from engines.journal import Event
from engines.provenance import Tapped

FOLLOWED: Mapping[str, Mapping[str, Mapper]] = {
    "runs": work.RUNS,
    "engine_state": work.TASKS,
    "scheduler": work.JOBS,
    "entities": work.ENTITIES,
    "memory_log": data.MEMORY,
    "bus": data.BUS,
    "orders": data.ORDERS,
    "cycle_runs": planning.CYCLE_RUNS,
    "cycles": planning.CYCLES,
    "assignments": planning.ASSIGNMENTS,
    "trajectory_log": planning.TRAJECTORIES,
    "outbox": planning.OUTBOX,
    "gate_log": trust.GATES,
    "security_log": trust.SECURITY,
    "checkpoints": trust.CHECKPOINTS,
    "offline_log": trust.SYNCS,
    "agent_log": models.MODELS,
}
"""Journal → type of event → what becomes of it."""


def taken_over(
    journal: str, event: Event, number_of: Callable[[str], int] | None = None
) -> Tapped | None:
    """
    What a line of another journal says here; None where that is nothing.

    A line that another version wrote otherwise says nothing either: the journal has it.

    Args:
        number_of: The how manyth journal of a name is followed; without, each is the first.
    """
    mapper = FOLLOWED[journal].get(event["event_type"])
    try:
        told = mapper(journal, event) if mapper else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return told_apart(told, number_of) if told and number_of else told


__all__ = ["FOLLOWED", "taken_over"]
