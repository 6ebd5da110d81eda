"""What is found: an anomaly with its evidence, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from engines.checks import time_text

_HIGH, _CRITICAL = 2.0, 5.0


class AnomalyKind(StrEnum):
    """What there is to find."""

    BURST = "burst"
    RATE_SPIKE = "rate_spike"
    DRIFT = "drift"
    MIX_DRIFT = "mix_drift"
    FAILING = "failing"
    NEW_KIND = "new_kind"
    UNUSUAL_SEQUENCE = "unusual_sequence"
    SILENCE = "silence"


def explained(kind: AnomalyKind) -> str:
    """By what that kind is found, in a sentence."""
    return _EXPLAINED[kind]


_EXPLAINED = {
    AnomalyKind.BURST: "events came far faster than is usual of the series (a CUSUM of the "
    "likelihoods of five times the rate), or so many within a second as the rules call a burst",
    AnomalyKind.RATE_SPIKE: "an interval had more events than chance makes of the usual rate of "
    "this hour (Poisson's bound), or several had somewhat more (a CUSUM)",
    AnomalyKind.DRIFT: "values are no longer as they were: sums of what they lie above or below "
    "the reference by (a CUSUM of normal scores), or a share that changed (ADWIN)",
    AnomalyKind.MIX_DRIFT: "words come in other shares than before (a chi-square test of blocks)",
    AnomalyKind.FAILING: "failing half of the time is far likelier than failing now and then",
    AnomalyKind.NEW_KIND: "a kind of event never seen before, where a new one is rare",
    AnomalyKind.UNUSUAL_SEQUENCE: "kinds follow each other as they hardly ever do: bits of "
    "evidence against the learned order, summed up over the last events of a run",
    AnomalyKind.SILENCE: "an event that comes regularly, or that has to, did not come",
}


class Severity(StrEnum):
    """How bad it is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Finding(NamedTuple):
    """What a detector hands out: its statistic against its threshold, and what that came from."""

    statistic: float
    threshold: float
    expected: float | str
    seen: float | str
    evidence: dict[str, Any]
    fixed: Severity | None = None

    @property
    def severity(self) -> Severity:
        """As it is fixed; else medium, from twice the threshold high, from five times critical."""
        if self.fixed:
            return self.fixed
        times = self.statistic / self.threshold if self.threshold else 1.0
        if times >= _CRITICAL:
            return Severity.CRITICAL
        return Severity.HIGH if times >= _HIGH else Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Anomaly:
    """
    Something unusual.

    Attributes:
        series: In which series: "source", "source/kind" or "source/kind/field".
        expected: What was usual; `seen`: what came instead.  Units stand in `evidence["unit"]`.
        statistic: What the detector computed; above `threshold` it is an alarm.
        evidence: Further what it is based on, `ref` (the event that set it off) among it.
        timestamp: Seconds since the epoch.
    """

    kind: AnomalyKind
    series: str
    severity: Severity
    expected: float | str
    seen: float | str
    statistic: float
    threshold: float
    timestamp: float
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """One line for people."""
        what = self.kind.value.replace("_", " ")
        unit = f" {self.evidence['unit']}" if "unit" in self.evidence else ""
        return f"{what} in {self.series}: {_shown(self.seen)}{unit}, not {_shown(self.expected)}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "series": self.series,
            "severity": self.severity.value,
            "message": self.message,
            "expected": self.expected,
            "seen": self.seen,
            "statistic": round(self.statistic, 3),
            "threshold": round(self.threshold, 3),
            "evidence": dict(self.evidence),
            "timestamp": time_text(self.timestamp),
        }


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
