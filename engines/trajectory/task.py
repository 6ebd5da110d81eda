"""
The search problem in numbers: which operators, at what cost, so that all goals are achieved.

What cannot matter is left out first: what the facts do not reach, what no goal needs, what
another rule does as well for no more, and what is free anyway.  Free rules that can always follow
another are made part of it, so that an action with many effects, written as many rules, is one
operator again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engines.trajectory.index import RuleIndex

Burden = tuple[tuple[int, float], ...]
"""Party → what it bears of one operator's cost."""

_COMPARED = 200  # rules for one fact; comparing more with each other costs more than it saves
_DIGITS = 6


@dataclass(slots=True)
class Task:
    """
    Operators over facts that do not hold at the beginning.

    Attributes:
        size: How many facts there are.
        needs: Operator → facts that must be achieved before.
        gives: Operator → facts it achieves.
        costs: Operator → cost, above 0 or achieving what costs.
        burdens: Operator → who bears it.
        rules: Operator → the place of the rule that its cost is for.
        goals: Facts to be achieved.
        step: All sums of costs are multiples of it; 0 where none is known.
    """

    size: int
    needs: list[tuple[int, ...]]
    gives: list[tuple[int, ...]]
    costs: list[float]
    burdens: list[Burden]
    rules: list[int]
    goals: tuple[int, ...]
    step: float = 0.0
    parties: int = 0
    waiting: list[list[int]] = field(default_factory=list)
    givers: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = [[] for _ in range(self.size)]
        self.givers = [[] for _ in range(self.size)]
        for op, (needs, gives) in enumerate(zip(self.needs, self.gives, strict=True)):
            for fact in needs:
                self.waiting[fact].append(op)
            for fact in gives:
                self.givers[fact].append(op)

    def cost(self, ops: Iterable[int]) -> float:
        """Exactly summed: the order does not show."""
        return math.fsum(self.costs[op] for op in ops)

    def burden(self, ops: Iterable[int]) -> float:
        """What the party bears that bears most."""
        borne: dict[int, list[float]] = {}
        for op in ops:
            for party, amount in self.burdens[op]:
                borne.setdefault(party, []).append(amount)
        return max((math.fsum(amounts) for amounts in borne.values()), default=0.0)

    def reaches(self, ops: Iterable[int]) -> bool:
        """Whether these operators alone achieve all goals."""
        left = {op: len(self.needs[op]) for op in ops}
        ready = [op for op, missing in left.items() if not missing]
        known: set[int] = set()
        while ready:
            for fact in self.gives[ready.pop()]:
                if fact not in known:
                    known.add(fact)
                    for op in self.waiting[fact]:
                        if op in left:
                            left[op] -= 1
                            if not left[op]:
                                ready.append(op)
        return known.issuperset(self.goals)

    def without(self, dropped: set[int]) -> Task:
        """The same facts with fewer operators."""
        kept = [op for op in range(len(self.costs)) if op not in dropped]
        return Task(
            self.size,
            [self.needs[op] for op in kept],
            [self.gives[op] for op in kept],
            [self.costs[op] for op in kept],
            [self.burdens[op] for op in kept],
            [self.rules[op] for op in kept],
            self.goals,
            self.step,
            self.parties,
        )


def build(
    index: RuleIndex, given: set[int], goals: Sequence[int], parties: Sequence[str]
) -> Task | None:
    """The task of achieving *goals* from *given*; None where they are out of reach."""
    reached = index.reached(given)
    if not reached.issuperset(goals):
        return None
    free = _closed_for_free(index, given)
    places = _relevant(index, reached, free, goals)
    draft = _Draft(index, free, places, [goal for goal in goals if goal not in free])
    draft.drop_dominated()
    draft.fuse()
    return draft.task({party: number for number, party in enumerate(parties)})


def _closed_for_free(index: RuleIndex, given: set[int]) -> set[int]:
    """What the rules without a cost lead to by themselves."""
    missing, known = index.missing.copy(), set(given)
    for place in index.unconditional:
        if not index.rules[place].cost:
            known.add(index.conclusions[place])
    waiting = list(known)
    while waiting:
        for place in index.waiting[waiting.pop()]:
            missing[place] -= 1
            conclusion = index.conclusions[place]
            if not missing[place] and not index.rules[place].cost and conclusion not in known:
                known.add(conclusion)
                waiting.append(conclusion)
    return known


def _relevant(
    index: RuleIndex, reached: set[int], free: set[int], goals: Iterable[int]
) -> list[int]:
    """The rules, by id, that can be applied and whose conclusion something on a way needs."""
    givers: dict[int, list[int]] = {}
    for place in index.active():
        conclusion, premises = index.conclusions[place], index.premises[place]
        supported = conclusion not in free and conclusion not in premises
        if supported and reached.issuperset(premises):
            givers.setdefault(conclusion, []).append(place)
    needed = {goal for goal in goals if goal not in free}
    waiting, found = sorted(needed), []
    while waiting:
        for place in givers.get(waiting.pop(), ()):
            found.append(place)
            for premise in index.premises[place]:
                if premise not in free and premise not in needed:
                    needed.add(premise)
                    waiting.append(premise)
    return sorted(found, key=lambda place: index.rules[place].rule_id)


class _Draft:
    """Operators on their way to a task; those that went are None."""

    def __init__(
        self, index: RuleIndex, free: set[int], places: list[int], goals: list[int]
    ) -> None:
        self._index = index
        self.places: list[int | None] = list(places)
        self.needs = [frozenset(index.premises[place]) - free for place in places]
        self.gives = [[index.conclusions[place]] for place in places]
        self.goals = goals

    def drop_dominated(self) -> None:
        """Of two for one fact the one that needs more and costs everybody no less."""
        groups: dict[int, list[int]] = {}
        for op, gives in enumerate(self.gives):
            groups.setdefault(gives[0], []).append(op)
        for ops in groups.values():
            if 1 < len(ops) <= _COMPARED:
                self._drop_within(
                    sorted(ops, key=lambda op: (len(self.needs[op]), self._cost(op), op))
                )

    def _drop_within(self, ops: list[int]) -> None:
        kept: list[int] = []
        for op in ops:
            if any(self._is_no_worse(other, op) for other in kept):
                self.places[op] = None
            else:
                kept.append(op)

    def _is_no_worse(self, one: int, other: int) -> bool:
        if self._cost(one) > self._cost(other) or not self.needs[one] <= self.needs[other]:
            return False
        mine, its = self._bears(one), self._bears(other)
        return all(amount <= its.get(party, 0.0) for party, amount in mine.items())

    def _cost(self, op: int) -> float:
        place = self.places[op]
        return 0.0 if place is None else self._index.rules[place].cost

    def _bears(self, op: int) -> dict[str, float]:
        place = self.places[op]
        rule = self._index.rules[place] if place is not None else None
        return {party: rule.cost * share for party, share in rule.bearers} if rule else {}

    def fuse(self) -> None:
        """Make a free operator part of the only one that gives all it needs."""
        givers: dict[int, list[int]] = {}
        users: dict[int, list[int]] = {}
        for op, place in enumerate(self.places):
            if place is not None:
                givers.setdefault(self.gives[op][0], []).append(op)
                for fact in self.needs[op]:
                    users.setdefault(fact, []).append(op)
        waiting = [op for op, place in enumerate(self.places) if place is not None]
        while waiting:
            op = waiting.pop()
            if self.places[op] is None or self._cost(op) or not self.needs[op]:
                continue
            ways = {tuple(givers[fact]) for fact in self.needs[op]}
            (way, *others) = ways
            if others or len(way) != 1 or way[0] == op:
                continue
            host = way[0]
            self.places[op] = None
            for fact in self.gives[op]:
                givers[fact].remove(op)
                if fact not in self.needs[host] and fact not in self.gives[host]:
                    self.gives[host].append(fact)
                    givers[fact].append(host)
                # With one way less to it, what uses it may now have only one.
                waiting += users.get(fact, ())

    def _used(self) -> set[int]:
        """The facts that are still on a way to a goal."""
        givers: dict[int, list[int]] = {}
        for op, place in enumerate(self.places):
            if place is not None:
                for fact in self.gives[op]:
                    givers.setdefault(fact, []).append(op)
        used, waiting = set(self.goals), list(self.goals)
        while waiting:
            for op in givers.get(waiting.pop(), ()):
                new = self.needs[op] - used
                used |= new
                waiting += new
        return used

    def task(self, parties: dict[str, int]) -> Task:
        used = self._used()
        live = [
            (op, place)
            for op, place in enumerate(self.places)
            if place is not None and not used.isdisjoint(self.gives[op])
        ]
        # A number by name: nothing may depend on which symbol was heard of first.
        names = sorted(used, key=lambda fact: self._index.symbols[fact])
        numbers = {fact: number for number, fact in enumerate(names)}
        rules = self._index.rules
        costs = [rules[place].cost for _, place in live]
        burdens = [
            tuple(
                (parties[party], rules[place].cost * share) for party, share in rules[place].bearers
            )
            for _, place in live
        ]
        return Task(
            len(names),
            [tuple(sorted(numbers[fact] for fact in self.needs[op])) for op, _ in live],
            [tuple(sorted(numbers[f] for f in self.gives[op] if f in numbers)) for op, _ in live],
            costs,
            burdens,
            [place for _, place in live],
            tuple(sorted(numbers[goal] for goal in set(self.goals))),
            common_step(costs),
            len(parties),
        )


def common_step(costs: Iterable[float]) -> float:
    """The greatest number that all *costs* are multiples of, 0 where they are not decimal."""
    step, scale = 0, int(10**_DIGITS)
    for cost in set(costs):
        scaled = Decimal(repr(cost)) * scale
        if scaled != int(scaled) or cost > 10**_DIGITS:
            return 0.0
        step = math.gcd(step, int(scaled))
    return step / scale


def rounded_up(task: Task, bound: float) -> float:
    """A proven *bound*, less what floating point may have added, as the next sum there can be."""
    slack = 1e-6 * max(1.0, abs(bound))
    if not task.step:
        return max(bound - slack, 0.0)
    steps = math.ceil((bound - slack) / task.step - slack)
    return max(steps, 0) * task.step
