"""Anomalies in streams of events: bursts, spikes, drift, novelty, odd sequences, silence."""

from engines.anomalies.adwin import Adwin
from engines.anomalies.detector import AnomalyDetector
from engines.anomalies.failures import Dependency
from engines.anomalies.gaps import Burst, Gaps
from engines.anomalies.mix import Mix
from engines.anomalies.model import Anomaly, AnomalyKind, Finding, Severity, explained
from engines.anomalies.novelty import Novelty
from engines.anomalies.rate import Jump, Rate, poisson_bound
from engines.anomalies.rules import AnomalyRules, Expectation
from engines.anomalies.sequence import Sequences
from engines.anomalies.shift import Shift
from engines.anomalies.silence import Comings

__all__ = [
    "Adwin",
    "Anomaly",
    "AnomalyDetector",
    "AnomalyKind",
    "AnomalyRules",
    "Burst",
    "Comings",
    "Dependency",
    "Expectation",
    "Finding",
    "Gaps",
    "Jump",
    "Mix",
    "Novelty",
    "Rate",
    "Sequences",
    "Severity",
    "Shift",
    "explained",
    "poisson_bound",
]
