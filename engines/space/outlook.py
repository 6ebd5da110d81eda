"""The stability of a sector as a series, and what it will be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engines.errors import InvalidInput
from engines.space.model import SpaceEvent, SpaceSector
from engines.space.results import ForecastStep, StabilityForecast
from engines.space.stability import stability

_MOST_POINTS = 1000


def history(sector: SpaceSector, events: Sequence[SpaceEvent], horizon: int) -> list[float]:
    """The score after each event (oldest first), each judged by the last *horizon* events."""
    return [
        stability(sector, events[max(end - horizon, 0) : end]) for end in range(1, len(events) + 1)
    ]


def hourly(scores: Sequence[float], events: Sequence[SpaceEvent], every: float) -> list[float]:
    """The last score in each span of *every* seconds, of the most recent thousand spans."""
    told = sorted(
        (event.timestamp.timestamp(), score)
        for event, score in zip(events, scores, strict=True)
        if event.timestamp
    )
    if not told:
        return []
    last = math.floor(told[-1][0] / every)
    first = max(math.floor(told[0][0] / every), last - _MOST_POINTS + 1)
    latest = {max(math.floor(moment / every), first): score for moment, score in told}
    series: list[float] = []
    for span in range(first, last + 1):
        series.append(latest.get(span, series[-1] if series else 0.0))
    return series


def outlook(
    sector: SpaceSector,
    events: Sequence[SpaceEvent],
    *,
    ahead: int,
    horizon: int,
    threshold: float,
    level: float = 0.9,
    every: float | None = None,
) -> StabilityForecast:
    """
    Forecast the stability of *sector* from the scores that its *events* led to.

    Its routes, hazard and supply are taken as they are now, for the past too.

    Args:
        ahead: How many steps.
        threshold: For the risk of being below it.
        level: Share of the truth that the intervals shall hold.
        every: Seconds of a step; None makes each event a step.
    """
    import numpy as np  # noqa: PLC0415  for those who ask for a forecast

    from engines.space.forecast import NAMES, forecast  # noqa: PLC0415

    if ahead < 1:
        raise InvalidInput(f"a forecast is for at least 1 step ahead, found {ahead}")
    if not 0 < level < 1:
        raise InvalidInput(f"level must be between 0 and 1, found {level:g}")
    if every is not None and not (math.isfinite(every) and every > 0):
        raise InvalidInput(f"every must be more than 0 seconds, found {every:g}")
    scores = history(sector, events, horizon)
    series = scores if every is None else hourly(scores, events, every)
    observations = len(series)
    series = series or [stability(sector, ())]
    found = forecast(np.array([series]), ahead, level=level)
    steps = []
    for step in range(ahead):
        point = min(max(float(found.point[0, step]), 0.0), 1.0)
        half = float(found.half_width[0, step])
        errors = found.errors[0, :, step]
        known = errors[np.isfinite(errors)]
        below = int((point + known < threshold).sum())
        steps.append(
            ForecastStep(
                step + 1,
                point,
                max(point - half, 0.0),
                min(point + half, 1.0),
                (below + 1) / (len(known) + 2) if len(known) else None,
            )
        )
    return StabilityForecast(
        sector=sector.name,
        steps=tuple(steps),
        observations=observations,
        every=every,
        level=level,
        methods=tuple(NAMES[number] for number in found.methods[0]),
        mase=_known(float(found.mase[0])),
        naive_mase=_known(float(found.naive_mase[0])),
        coverage=_known(float(found.coverage[0])),
        tested=int(found.tested[0]),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
