"""The sections `scheduler`, `resources` and `entities`: what runs when, and on what."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from dino_os.config.bounds import Count, Positive, Seconds, Share


class Scheduler(Struct, forbid_unknown_fields=True, frozen=True):
    """What shall run when."""

    max_jobs: Positive = 1000


class Pool(Struct, forbid_unknown_fields=True, frozen=True):
    """How large a pool is at first, and between what it moves by itself."""

    capacity: Count
    least: Count
    most: Positive


class Scaling(Struct, forbid_unknown_fields=True, frozen=True):
    """When pools move: the percentage in use that is aimed at, and how steady they are kept."""

    target: Annotated[float, Meta(gt=0, le=100)] = 60.0
    tolerance: Share = 0.1
    stabilisation_s: Seconds = 300.0
    every_s: Seconds = 15.0


class Resources(Struct, forbid_unknown_fields=True, frozen=True):
    """Pools, and how tasks are run."""

    compute: Pool = Pool(10, 1, 20)
    storage: Pool = Pool(100, 10, 200)
    network: Pool = Pool(20, 2, 40)
    database: Pool = Pool(5, 1, 10)
    scaling: Scaling = Scaling()
    ageing_s: Seconds = 300.0
    timeout_s: Annotated[float, Meta(gt=0)] = 3600.0
    result_bytes: Positive = 65536
    skill_limits: dict[str, Positive] = {}
    functions: list[str] = []


class Entities(Struct, forbid_unknown_fields=True, frozen=True):
    """How much failure an entity is allowed that says nothing else, and how to look for a route."""

    max_failures: Positive = 3
    within_s: Seconds = 300.0
    backoff_s: Seconds = 1.0
    backoff_most_s: Seconds = 300.0
    max_corrections: Positive = 5
    corrections_within_s: Seconds = 3600.0
    probe_s: Annotated[float, Meta(gt=0)] = 5.0
    probe_most_s: Annotated[float, Meta(gt=0)] = 300.0
    probe_timeout_s: Annotated[float, Meta(gt=0)] = 3.0
