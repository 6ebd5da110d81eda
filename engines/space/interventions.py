"""
What may be done for the sectors, and what it is expected to be worth.

The future is drawn: each scenario puts as many further events on a sector as the horizon asks,
drawn from those it remembers.  A sector falls short by what its score is below the target.  An
intervention raises parts of the score (routes, hazard, supply, traffic); of two that raise the
same part the greater counts, and nothing counts beyond the target.  So what a set gains is monotone
and submodular: a maximum of lifts is, a sum over the parts is, and so is that under a cap.

What else may be done in a sector stands in its metadata; an entry named as one of ours sets the
hours of that:

    interventions:
      - {name: clear the debris, hours: 6, hazard: 0.2}      # also: supply, stability, congestion
      - {name: relieve, hours: 3}
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, quantiles
from typing import Any

from engines import checks
from engines.errors import InvalidInput
from engines.space.model import SpaceEvent, SpaceSector
from engines.space.results import InterventionPlan, RankedIntervention
from engines.space.selection import select
from engines.space.stability import HAZARD, ROUTES, SUPPLY, TRAFFIC, parts, stability, steadiness

KEY = "interventions"
RELIEVE, STABILISE = "relieve", "stabilise"
_HOURS = {RELIEVE: 1.0, STABILISE: 2.0}
_BETTERS = ("stability", "hazard", "supply", "congestion")
_WEIGHT = (ROUTES, HAZARD, SUPPLY, TRAFFIC)

Lifts = tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """
    Something that may be done in a sector.

    Attributes:
        lifts: What it adds to each part of the score of a sector that nothing shook.
    """

    sector: str
    name: str
    hours: float
    lifts: Lifts


@dataclass(frozen=True)
class Prospect:
    """
    A sector in each scenario.

    Attributes:
        shortfall: What it is below the target.
        steadiness: The share of a lift that comes through.
    """

    shortfall: tuple[float, ...]
    steadiness: tuple[float, ...]

    def gains(self, chosen: Iterable[Candidate]) -> list[float]:
        lift = sum(map(max, zip(*(c.lifts for c in chosen), strict=True)), 0.0)
        return [
            min(short, lift * share)
            for short, share in zip(self.shortfall, self.steadiness, strict=True)
        ]


def candidates(
    sector: SpaceSector, relieved: SpaceSector | None, stabilised: SpaceSector
) -> list[Candidate]:
    """
    What may be done in *sector*, where ours would leave it *relieved* and *stabilised*.

    Raises:
        InvalidInput: What its metadata says under `interventions` cannot be.
    """
    where = f"sector {sector.name!r}: metadata.{KEY}"
    told = (sector.metadata or {}).get(KEY) or []
    if isinstance(told, str | Mapping) or not isinstance(told, Iterable):
        raise InvalidInput(f"{where} must be a list, found {told!r}")
    found: dict[str, Candidate] = {}
    for name, after in ((RELIEVE, relieved), (STABILISE, stabilised)):
        if after and after != sector:
            now, then = parts(sector), parts(after)
            lifts = tuple(max(b - a, 0.0) for a, b in zip(now, then, strict=True))
            found[name] = Candidate(sector.name, name, _HOURS[name], lifts)
    seen: set[str] = set()
    for index, item in enumerate(told):
        new = _told(sector, item, f"{where}[{index}]")
        if new.name in seen:
            raise InvalidInput(f"{where}: two entries named {new.name!r}")
        seen.add(new.name)
        if new.name not in _HOURS:
            found[new.name] = new
        elif new.name in found:
            found[new.name] = replace(found[new.name], hours=new.hours)
    return list(found.values())


def _told(sector: SpaceSector, item: Any, where: str) -> Candidate:
    if not isinstance(item, Mapping) or not {"name", "hours"} <= item.keys():
        raise InvalidInput(f"{where} needs a name and hours, found {item!r}")
    for key in item:
        if key not in {"name", "hours", *_BETTERS}:
            raise InvalidInput(f"{where}: no {key!r}{checks.did_you_mean(str(key), _BETTERS)}")
    hours = checks.finite(item["hours"], f"{where}.hours")
    if hours <= 0:
        raise InvalidInput(f"{where}.hours must be more than 0, found {hours:g}")
    # Nothing gets better than best.
    room = [weight - part for weight, part in zip(_WEIGHT, parts(sector), strict=True)]
    lifts = tuple(
        max(min(weight * checks.clamped(item.get(name, 0), f"{where}.{name}"), most), 0.0)
        for name, weight, most in zip(_BETTERS, _WEIGHT, room, strict=True)
    )
    return Candidate(sector.name, checks.name(item["name"], f"{where}.name"), hours, lifts)


def prospect(
    sector: SpaceSector,
    events: Sequence[SpaceEvent],
    *,
    ahead: int,
    horizon: int,
    target: float,
    scenarios: int,
    seed: int,
) -> Prospect:
    """Draw *scenarios* futures of *ahead* further events each."""
    chance = random.Random(f"{seed} {sector.name}")  # noqa: S311  nothing secret
    calm = stability(sector, ())
    shares = []
    for _ in range(scenarios):
        future = [*events, *(chance.choices(events, k=ahead) if events else ())]
        shares.append(steadiness(future[-horizon:] if horizon else ()))
    return Prospect(tuple(max(target - calm * share, 0.0) for share in shares), tuple(shares))


def plan(
    choices: Sequence[Candidate],
    prospects: Mapping[str, Prospect],
    *,
    target: float,
    limit: int | None = None,
    hours: float | None = None,
) -> InterventionPlan:
    """Choose what lowers the expected shortfall most, at most *limit* within *hours*."""
    order = sorted(choices, key=lambda c: (c.sector, c.name))
    known: dict[tuple[str, frozenset[int]], list[float]] = {}

    def gains(sector: str, chosen: frozenset[int]) -> list[float]:
        if (sector, chosen) not in known:
            known[sector, chosen] = prospects[sector].gains(order[n] for n in sorted(chosen))
        return known[sector, chosen]

    def gain(chosen: frozenset[int]) -> float:
        by_sector: dict[str, set[int]] = {}
        for n in sorted(chosen):
            by_sector.setdefault(order[n].sector, set()).add(n)
        return sum(fmean(gains(name, frozenset(mine))) for name, mine in by_sector.items())

    found = select(gain, [c.hours for c in order], limit=limit, budget=hours)
    ranked: list[RankedIntervention] = []
    before: dict[str, frozenset[int]] = {}
    for n in found.chosen:
        choice = order[n]
        mine = before.get(choice.sector, frozenset())
        old, new = gains(choice.sector, mine), gains(choice.sector, mine | {n})
        each = [b - a for a, b in zip(old, new, strict=True)] if mine else new
        before[choice.sector] = mine | {n}
        spread = quantiles(each, n=10, method="inclusive") if len(each) > 1 else each * 9
        worth = fmean(each)
        ranked.append(
            RankedIntervention(
                choice.sector,
                choice.name,
                choice.hours,
                worth,
                spread[0],
                spread[8],
                worth / choice.hours,
                gain(frozenset([n])),
            )
        )
    return InterventionPlan(
        chosen=tuple(ranked),
        target=target,
        shortfall=sum(fmean(p.shortfall) for p in prospects.values()),
        value=found.value,
        bound=found.bound,
        optimal=found.optimal,
        hours=sum(item.hours for item in ranked),
        candidates=len(order),
    )
