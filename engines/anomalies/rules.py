"""When something is an anomaly: what the settings say, without them."""

from __future__ import annotations

from dataclasses import dataclass

from engines.checks import at_least, name, whole


@dataclass(frozen=True, slots=True)
class Expectation:
    """An event that has to come: of *series* ("source/kind"), at least every *every_s* seconds."""

    series: str
    every_s: float

    def __post_init__(self) -> None:
        name(self.series, "series")
        at_least(self.every_s, 1, "every_s")


@dataclass(frozen=True, slots=True)
class AnomalyRules:
    """
    Of all detectors.

    Attributes:
        bucket_s: Rates are counted in intervals of so many seconds.
        warm_up: So many intervals are looked at before the first judgement.
        least: A spike has at least so many events in an interval.
        burst_events: So many events of a source within `burst_window_s` seconds are a burst,
            whatever was learned; unless chance makes that of the source's usual rate.
        cool_down_s: The same is not told again for so long.
        most_series: So many series are watched; those unseen longest make way.
        expected: What has to come.
    """

    bucket_s: float = 60.0
    warm_up: int = 30
    least: int = 20
    burst_events: int = 25
    burst_window_s: float = 1.0
    cool_down_s: float = 300.0
    most_series: int = 10_000
    expected: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        for which in ("bucket_s", "warm_up", "least"):
            at_least(getattr(self, which), 1, which)
        at_least(whole(self.burst_events, "burst_events"), 2, "burst_events")
        at_least(self.burst_window_s, 0.001, "burst_window_s")
        at_least(self.cool_down_s, 0, "cool_down_s")
        at_least(whole(self.most_series, "most_series"), 1, "most_series")
