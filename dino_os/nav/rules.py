"""The settings of the section `nav`, as the gates understand them."""

from __future__ import annotations

from dino_os.config import Nav
from engines.nav_mesh import AnomalyRule, GateRule, Rules, ThresholdDomain


def rules_of(settings: Nav) -> Rules:
    """How strict the gates are by *settings*."""
    gates = {}
    for domain in ThresholdDomain:
        found = getattr(settings.domains, domain.value)
        gates[domain] = GateRule(found.rate_per_minute, found.token_s, tuple(found.subjects))
    names = AnomalyRule.__dataclass_fields__
    anomalies = {name: getattr(settings.anomalies, name) for name in names}
    return Rules(gates, AnomalyRule(**anomalies))
