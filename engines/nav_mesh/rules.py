"""How strict the gates are, and when an anomaly is one: what the settings say, without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engines.checks import at_least, did_you_mean, whole
from engines.errors import InvalidInput
from engines.nav_mesh.model import ThresholdDomain

LEEWAY_S = 5.0
"""How far the clocks may differ of those who issue tokens and those who look at them."""

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class GateRule:
    """
    One domain's gate.

    Attributes:
        rate_per_minute: How many requests of one subject it lets through in any 60 seconds.
        token_s: The longest life of a token, and the usual one.
        subjects: Who may pass: names, or beginnings of names that end in "*"; empty is everybody.
    """

    rate_per_minute: int = 100
    token_s: float = HOUR_S
    subjects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(whole(self.rate_per_minute, "rate_per_minute"), 1, "rate_per_minute")
        at_least(self.token_s, 1, "token_s")

    def admits(self, user_id: str) -> bool:
        if not self.subjects:
            return True
        return any(
            user_id.startswith(name[:-1]) if name.endswith("*") else user_id == name
            for name in self.subjects
        )


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """
    When something is an anomaly, and what becomes of it.

    Attributes:
        bucket_s: Requests are counted in intervals of so many seconds.
        warm_up: So many intervals are looked at before the first judgement.
        least: A spike has at least so many requests in an interval.
        breaches: So many breaches of one subject, each counting half as much after
            `breach_half_life_s`, are a pattern; four times as many make one of a whole domain.
        cool_down_s: The same is not told again for so long.
        block_s: How long a subject is kept out that was told; 0 keeps out nobody.
    """

    bucket_s: float = 10.0
    warm_up: int = 30
    least: int = 20
    breaches: float = 5.0
    breach_half_life_s: float = 300.0
    cool_down_s: float = 300.0
    block_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("bucket_s", "warm_up", "least", "breaches", "breach_half_life_s"):
            at_least(getattr(self, name), 1, name)
        at_least(self.cool_down_s, 0, "cool_down_s")
        at_least(self.block_s, 0, "block_s")


_USUAL = {
    ThresholdDomain.WEALTH: GateRule(100),
    ThresholdDomain.INFO: GateRule(200),
    ThresholdDomain.MYTH: GateRule(50),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """All of them; domains that are not named have the usual ones."""

    domains: Mapping[ThresholdDomain, GateRule] = field(default_factory=dict)
    anomalies: AnomalyRule = AnomalyRule()

    def by_name(self) -> dict[str, GateRule]:
        return {domain.value: self.domains.get(domain, _USUAL[domain]) for domain in _USUAL}


def domain_name(domain: ThresholdDomain | str) -> str:
    """
    The name of *domain*.

    Raises:
        InvalidInput: There is none of that name.
    """
    if isinstance(domain, ThresholdDomain):
        return domain.value
    names = [one.value for one in ThresholdDomain]
    if isinstance(domain, str) and domain in names:
        return domain
    raise InvalidInput(
        f"no domain {domain!r:.60}{did_you_mean(str(domain)[:60], names)}",
        hint=f"there are {', '.join(names)}",
    )
