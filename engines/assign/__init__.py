"""Assignment: which agent does which task, and why."""

from engines.assign.certificate import Verdict, check
from engines.assign.crowd import Crowd, CrowdPlan, decide_crowd
from engines.assign.engine import DynamicAssignEngine
from engines.assign.explain import Alternative, Explanation, Obstacle
from engines.assign.learning import Lesson
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
)
from engines.assign.rules import AssignmentRules
from engines.assign.weights import Weights
from engines.assign.whatif import Changes, WhatIf

__all__ = [
    "AgentProfile",
    "Alternative",
    "AssignableTask",
    "AssignmentDecision",
    "AssignmentPlan",
    "AssignmentRules",
    "Changes",
    "Crowd",
    "CrowdPlan",
    "DynamicAssignEngine",
    "Explanation",
    "Lesson",
    "Obstacle",
    "UnassignedTask",
    "Verdict",
    "Weights",
    "WhatIf",
    "check",
    "decide_crowd",
]
