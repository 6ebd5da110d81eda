"""Metrics: gauges, meters and counters from journals and live engines, also for Prometheus."""

from engines.metrics.collector import TARGETS, MetricsCollector
from engines.metrics.exposition import CONTENT_TYPE, render
from engines.metrics.families import Family, Sample
from engines.metrics.model import Gauge, Meter, Reading, Share

__all__ = [
    "CONTENT_TYPE",
    "TARGETS",
    "Family",
    "Gauge",
    "Meter",
    "MetricsCollector",
    "Reading",
    "Sample",
    "Share",
    "render",
]
