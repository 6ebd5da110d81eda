"""Trajectories: what follows by rules with a cost, and the cheapest and fairest ways there."""

from engines.trajectory.derivation import Derivation, Missing
from engines.trajectory.engine import TrajectoryOptimizer
from engines.trajectory.fairness import Fairness, jain
from engines.trajectory.model import (
    Closure,
    Fact,
    FactNotFoundError,
    Rule,
    RuleNotFoundError,
    TrajectoryPath,
    Unreachable,
)
from engines.trajectory.pddl_task import ParserMissing, load_pddl
from engines.trajectory.planned import Front, Plan

__all__ = [
    "Closure",
    "Derivation",
    "Fact",
    "FactNotFoundError",
    "Fairness",
    "Front",
    "Missing",
    "ParserMissing",
    "Plan",
    "Rule",
    "RuleNotFoundError",
    "TrajectoryOptimizer",
    "TrajectoryPath",
    "Unreachable",
    "jain",
    "load_pddl",
]
