"""Why a fact holds, and what is missing where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from engines.trajectory.index import RuleIndex
from engines.trajectory.model import Rule


@dataclass(frozen=True, slots=True)
class Derivation:
    """
    How a fact comes to hold.

    Attributes:
        symbol: The fact.
        rule: What concludes it; None where it was stated.
        premises: How each of the rule's premises comes to hold.
    """

    symbol: str
    rule: Rule | None = None
    premises: tuple[Derivation, ...] = ()

    @property
    def steps(self) -> tuple[Rule, ...]:
        """The rules, each once, every one behind those that give its premises."""
        found: dict[str, Rule] = {}
        waiting = [(self, False)]
        while waiting:
            one, behind = waiting.pop()
            if one.rule is None or one.symbol in found:
                continue
            if behind:
                found[one.symbol] = one.rule
            else:
                waiting.append((one, True))
                waiting += [(premise, False) for premise in reversed(one.premises)]
        return tuple(found.values())

    def lines(self) -> list[str]:
        """As a tree; what stands there twice is drawn once."""
        found: list[str] = []
        seen: set[str] = set()
        waiting = [(self, "", "")]
        while waiting:
            one, head, below = waiting.pop()
            if one.rule is None:
                found.append(f"{head}{one.symbol}  stated")
                continue
            again = one.symbol in seen and bool(one.premises)
            seen.add(one.symbol)
            how = f"by {one.rule.rule_id}, cost {one.rule.cost:g}"
            found.append(f"{head}{one.symbol}  {how}{' (above)' if again else ''}")
            if not again:
                last = len(one.premises) - 1
                for number, premise in reversed(list(enumerate(one.premises))):
                    branch, on = ("└─ ", "   ") if number == last else ("├─ ", "│  ")
                    waiting.append((premise, below + branch, below + on))
        return found

    def as_dict(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "stated": self.rule is None,
            "steps": [rule.as_dict() for rule in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """
    The fewest facts that, stated, would make a symbol hold.

    Attributes:
        symbol: What does not hold.
        facts: What to state; no other rule concludes any of them, where that is possible.
        steps: How it would follow then.
        fewest: Whether it is proven that no fewer will do.
    """

    symbol: str
    facts: tuple[str, ...]
    steps: tuple[Rule, ...]
    fewest: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "missing": list(self.facts),
            "steps": [rule.as_dict() for rule in self.steps],
            "fewest": self.fewest,
        }


def cheapest_supporters(index: RuleIndex, given: Iterable[int]) -> dict[int, int]:
    """
    Symbol → the place of the rule that gives it at the least sum of costs; none for those given.

    Sums as h_add has them: what two premises share counts for both.
    """
    missing = index.missing.copy()
    sums = [rule.cost for rule in index.rules]
    best: dict[int, tuple[float, str]] = dict.fromkeys(given, (0.0, ""))
    supporters: dict[int, int] = {}
    heap = [(0.0, "", symbol) for symbol in sorted(best)]
    done: set[int] = set()

    def offer(place: int) -> None:
        symbol = index.conclusions[place]
        new = (sums[place], index.rules[place].rule_id)
        if symbol not in done and new < best.get(symbol, (float("inf"), "")):
            best[symbol] = new
            supporters[symbol] = place
            heappush(heap, (*new, symbol))

    for place in index.unconditional:
        offer(place)
    while heap:
        value, _, symbol = heappop(heap)
        if symbol in done:
            continue
        done.add(symbol)
        for place in index.waiting[symbol]:
            missing[place] -= 1
            sums[place] += value
            if not missing[place]:
                offer(place)
    return supporters


def derivation(index: RuleIndex, symbol: int, supporters: dict[int, int]) -> Derivation:
    """The tree below *symbol*, in which what is used twice is one object."""
    made: dict[int, Derivation] = {}
    waiting = [symbol]
    while waiting:
        at = waiting[-1]
        place = supporters.get(at)
        premises: Sequence[int] = () if place is None else index.premises[place]
        open_ones = [premise for premise in premises if premise not in made]
        if open_ones:
            waiting += open_ones
            continue
        waiting.pop()
        rule = None if place is None else index.rules[place]
        made[at] = Derivation(index.symbols[at], rule, tuple(made[p] for p in premises))
    return made[symbol]


def steps_to(
    index: RuleIndex, given: set[int], allowed: set[int], goals: Iterable[int]
) -> tuple[Rule, ...]:
    """
    The rules among the places *allowed* that it takes to get to *goals*, in order.

    Round by round as `RuleIndex.rounds` goes, then back from the goals.
    """
    missing = {place: len(index.premises[place]) for place in allowed}
    known, giver, order = set(given), dict[int, int](), list[int]()
    frontier = sorted(known)
    fired = [place for place, count in missing.items() if not count]
    while frontier or fired:
        for symbol in frontier:
            for place in index.waiting[symbol]:
                if place in missing:
                    missing[place] -= 1
                    if not missing[place]:
                        fired.append(place)
        frontier = []
        for place in sorted(fired, key=lambda p: (index.rules[p].cost, index.rules[p].rule_id)):
            symbol = index.conclusions[place]
            if symbol not in known:
                known.add(symbol)
                giver[symbol] = place
                order.append(place)
                frontier.append(symbol)
        fired = []
    needed, waiting = set[int](), [goal for goal in goals if goal in giver]
    while waiting:
        place = giver[waiting.pop()]
        if place not in needed:
            needed.add(place)
            waiting += [premise for premise in index.premises[place] if premise in giver]
    return tuple(index.rules[place] for place in order if place in needed)
