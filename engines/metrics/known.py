"""All names that expressions may ask for, whether there is something to say of them or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.metrics import live
from engines.metrics.collector import FOLDS, METERS, TARGETS, MetricsCollector
from engines.metrics.families import Family

_PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def known_names() -> list[str]:
    """Of gauges, meters, and the series of all families."""
    return [
        *(*TARGETS, *METERS),
        *(f.name + part for f in known_families() for part in _PARTS.get(f.kind, ("",))),
    ]


def known_families() -> list[Family]:
    """Each family there is, as told of a folder that has nothing."""
    nowhere = Path("nowhere")
    found = [family for fold in FOLDS for family in fold(nowhere).families(0.0)]
    found += [*MetricsCollector().families(), *live.cache_families(_NoCache())]
    return [*found, *live.engine_families({}), *live.gate_families({})]


class _NoCache:
    """One that tells nothing."""

    def get_stats(self) -> Mapping[str, Any]:
        return {}
