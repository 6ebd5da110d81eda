"""The resource engine: a durable priority queue whose tasks run in worker processes."""

from engines.again import Fatal, RetryLater
from engines.resource_engine.crew import Crew
from engines.resource_engine.engine import ResourceEngine
from engines.resource_engine.model import (
    FINISHED,
    OK_OUTCOMES,
    OUTCOMES,
    Ended,
    Lease,
    ResourceType,
    Task,
    TaskPriority,
    TaskState,
    kind_of,
)
from engines.resource_engine.pool import PoolLimits, ResourcePool
from engines.resource_engine.results import ResultBroken
from engines.resource_engine.rows import DEEPEST, check_params, with_room
from engines.resource_engine.scaling import ScalingRule
from engines.resource_engine.worker import Run, calling, die_with, failure, serve, wait_readable
from engines.resource_engine.workers import Launch, Workers, forking

__all__ = [
    "DEEPEST",
    "FINISHED",
    "OK_OUTCOMES",
    "OUTCOMES",
    "Crew",
    "Ended",
    "Fatal",
    "Launch",
    "Lease",
    "PoolLimits",
    "ResourceEngine",
    "ResourcePool",
    "ResourceType",
    "ResultBroken",
    "RetryLater",
    "Run",
    "ScalingRule",
    "Task",
    "TaskPriority",
    "TaskState",
    "Workers",
    "calling",
    "check_params",
    "die_with",
    "failure",
    "forking",
    "kind_of",
    "serve",
    "wait_readable",
    "with_room",
]
