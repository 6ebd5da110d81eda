"""Metrics: gauges, meters and counters from journals and live engines, also for Prometheus."""

from engines.metrics.alerts import Alert, AlertRule, AlertState
from engines.metrics.collector import METERS, TARGETS, MetricsCollector
from engines.metrics.exposition import CONTENT_TYPE, render
from engines.metrics.expression import (
    Answer,
    Expression,
    Point,
    points_of,
    read_expression,
    refuse_unknown,
)
from engines.metrics.families import Family, Sample
from engines.metrics.known import known_families, known_names
from engines.metrics.log import MOST_NAMES, MetricsLog
from engines.metrics.model import Gauge, Meter, Reading, Share

__all__ = [
    "CONTENT_TYPE",
    "METERS",
    "MOST_NAMES",
    "TARGETS",
    "Alert",
    "AlertRule",
    "AlertState",
    "Answer",
    "Expression",
    "Family",
    "Gauge",
    "Meter",
    "MetricsCollector",
    "MetricsLog",
    "Point",
    "Reading",
    "Sample",
    "Share",
    "known_families",
    "known_names",
    "points_of",
    "read_expression",
    "refuse_unknown",
    "render",
]
