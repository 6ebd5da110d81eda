"""When something is an anomaly: what the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dino_os.units import seconds
from engines.anomalies import AnomalyRules, Expectation

if TYPE_CHECKING:
    from dino_os.config import Config


def anomaly_rules(config: Config) -> AnomalyRules:
    """The rules in the section `provenance.anomalies`."""
    settings = msgspec.structs.asdict(config.settings.provenance.anomalies)
    expected = tuple(
        Expectation(one.series, seconds(one.every, "every")) for one in settings.pop("expected")
    )
    return AnomalyRules(**settings, expected=expected)
