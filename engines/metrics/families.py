"""Metric families: a name, what it means, and its series; the form in which folds hand them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engines.metrics.histogram import Histogram

Labels = Mapping[str, str]


class Sample(NamedTuple):
    """One number; *suffix* is what stands behind the family's name (`_bucket`, `_sum`)."""

    suffix: str
    labels: Labels
    value: float


class Family(NamedTuple):
    """
    Series of one name.

    Attributes:
        kind: counter, gauge or histogram.
        help: One sentence.
    """

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def counter(name: str, help_text: str, value: float) -> Family:
    """What only grows, as one series."""
    return counters(name, help_text, [({}, value)])


def counters(name: str, help_text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    """What only grows; its name must end in `_total`."""
    return Family(name, "counter", help_text, _plain(values))


def gauge(name: str, help_text: str, value: float) -> Family:
    """What goes up and down, as one series."""
    return gauges(name, help_text, [({}, value)])


def gauges(name: str, help_text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    return Family(name, "gauge", help_text, _plain(values))


def histograms(name: str, help_text: str, values: Iterable[tuple[Labels, Histogram]]) -> Family:
    samples: list[Sample] = []
    for labels, found in values:
        cumulative = found.cumulative()
        samples += [
            Sample("_bucket", {**labels, "le": bound_text(bound)}, count)
            for bound, count in cumulative
        ]
        samples += [
            Sample("_sum", labels, found.total),
            Sample("_count", labels, cumulative[-1][1]),
        ]
    return Family(name, "histogram", help_text, tuple(samples))


def by(label: str, values: Mapping[str, float]) -> list[tuple[Labels, float]]:
    """Series told apart by one label."""
    return [({label: name}, value) for name, value in values.items()]


def bound_text(bound: float) -> str:
    return "+Inf" if bound == float("inf") else f"{bound:g}"


def _plain(values: Iterable[tuple[Labels, float]]) -> tuple[Sample, ...]:
    return tuple(Sample("", labels, value) for labels, value in values)
