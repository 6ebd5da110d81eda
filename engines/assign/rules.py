"""What a plan must keep beyond skills and hours, and what it should prefer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from engines import checks
from engines.errors import InvalidInput

Span = tuple[float, float]

_MOST = 1 << 31  # agents of a team; more are nowhere


@dataclass(frozen=True, slots=True)
class AssignmentRules:
    """
    Conditions of one planning round; names of tasks and agents that are not there mean nothing.

    Attributes:
        forbidden: Pairs (task, agent) that must not be.
        pinned: Task → agent who must do it.
        teams: Task → how many agents do it together; each spends its hours on it.
        min_match: Task → share of its skills that an agent must have, 0…1, where it is more than
            the round's `min_skill_match`.
        absent: Agents who are not there.
        away: Agent → spans of seconds since the epoch, in which it is not there.
        when: Task → the span in which it is done; who is away in any part of it cannot do it.
        travel_hours: (place, agent) → hours added to each task of that zone or sector.
        affinity: (place, agent) → what is added to the score there, -1…1.
        keep: What is added to the score where a task stays with the agent of the last plan, 0…1.
        balance: Share of the plan's value that may be given up for more even loads, 0…1.
    """

    forbidden: Collection[tuple[str, str]] = ()
    pinned: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, int] = field(default_factory=dict)
    min_match: Mapping[str, float] = field(default_factory=dict)
    absent: Collection[str] = ()
    away: Mapping[str, Iterable[Span]] = field(default_factory=dict)
    when: Mapping[str, Span] = field(default_factory=dict)
    travel_hours: Mapping[tuple[str, str], float] = field(default_factory=dict)
    affinity: Mapping[tuple[str, str], float] = field(default_factory=dict)
    keep: float = 0.02
    balance: float = 0.0

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "forbidden": tuple(
                sorted({_pair(pair, "forbidden") for pair in _listed(self.forbidden)})
            ),
            "pinned": {
                task: checks.name(agent, f"the agent to whom {task!r} is pinned")
                for task, agent in _named(self.pinned, "pinned").items()
            },
            "teams": {task: _team(n, task) for task, n in _named(self.teams, "teams").items()},
            "min_match": {
                task: checks.clamped(share, f"min_match of {task!r}")
                for task, share in _named(self.min_match, "min_match").items()
            },
            "absent": tuple(sorted({checks.name(a, "absent") for a in _listed(self.absent)})),
            "away": {
                agent: tuple(_span(span, f"away of {agent!r}") for span in _listed(spans))
                for agent, spans in _named(self.away, "away").items()
            },
            "when": {
                task: _span(span, f"when of {task!r}")
                for task, span in _named(self.when, "when").items()
            },
            "travel_hours": {
                _place(pair, "travel_hours"): checks.at_least(hours, 0, f"travel_hours of {pair}")
                for pair, hours in self.travel_hours.items()
            },
            "affinity": {
                _place(pair, "affinity"): _signed(share, f"affinity of {pair}")
                for pair, share in self.affinity.items()
            },
            "keep": checks.clamped(self.keep, "keep"),
            "balance": checks.clamped(self.balance, "balance"),
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)

    def can_be_there(self, task: str, agent: str) -> bool:
        """Whether *agent* is there while *task* is done."""
        if agent in self.absent:
            return False
        when = self.when.get(task)
        return when is None or not any(
            begin < when[1] and when[0] < end for begin, end in self.away.get(agent, ())
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON; only what differs from the defaults."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in {"keep", "balance"}:
                if value != each.default:
                    found[each.name] = value
            elif value:
                found[each.name] = _plain(value)
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AssignmentRules:
        """What `as_dict` gave, also after a journey through JSON."""
        given = dict(data)
        given["forbidden"] = [tuple(pair) for pair in given.get("forbidden", ())]
        for name in ("travel_hours", "affinity"):
            given[name] = {(place, agent): x for place, agent, x in given.get(name, ())}
        return checks.built(cls, given, "the rules")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if any(isinstance(key, tuple) for key in value):
            return [[*key, item] for key, item in sorted(value.items())]
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _named(value: Any, what: str) -> dict[str, Any]:
    """Names without the space around them, as tasks and agents have theirs."""
    given = checks.mapping(value, what)
    return {checks.name(name, f"a name in {what}"): each for name, each in given.items()}


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidInput(f"expected a list, found {value!r}")
    return value


def _pair(value: Any, what: str) -> tuple[str, str]:
    match value:
        case (str(first), str(second)):
            return first.strip(), second.strip()
    raise InvalidInput(f"{what} must be pairs of names, found {value!r}")


def _place(value: Any, what: str) -> tuple[str, str]:
    place, agent = _pair(value, what)
    return place.lower(), agent


def _team(value: Any, task: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"the team of {task!r} must be a whole number above 0, found {value!r}")
    return min(value, _MOST)


def _span(value: Any, what: str) -> Span:
    match tuple(_listed(value)):
        case (begin, end):
            first, last = checks.finite(begin, what), checks.finite(end, what)
            if first < last:
                return first, last
    raise InvalidInput(f"{what}: a span is its begin and a later end, found {value!r}")


def _signed(value: Any, what: str) -> float:
    number = checks.finite(value, what)
    if not -1 <= number <= 1:
        raise InvalidInput(f"{what} must be between -1 and 1, found {number:g}")
    return number
