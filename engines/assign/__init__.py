"""Assignment: which agent does which task, and why."""

from engines.assign.engine import DynamicAssignEngine
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
)

__all__ = [
    "AgentProfile",
    "AssignableTask",
    "AssignmentDecision",
    "AssignmentPlan",
    "DynamicAssignEngine",
    "UnassignedTask",
]
