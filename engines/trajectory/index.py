"""
Rules and symbols as numbers, with what is needed to chain forward in linear time.

Each rule counts the premises that are still missing (Dowling and Gallier 1984); each symbol knows
the rules that wait for it.  A fact is looked at once, and so is each premise of each rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engines.trajectory.model import Fact, Rule

_NEVER = 1 << 60  # the missing premises of a rule that was removed


class RuleIndex:
    """The rules of one engine; adding one costs what it has premises."""

    def __init__(self) -> None:
        self.symbols: list[str] = []
        self.facts: list[Fact] = []  # that each symbol holds: made once, not by each chaining
        self.ids: dict[str, int] = {}
        self.rules: list[Rule] = []
        self.places: dict[str, int] = {}
        self.missing: list[int] = []
        self.conclusions: list[int] = []
        self.premises: list[tuple[int, ...]] = []
        self.waiting: list[list[int]] = []
        self.unconditional: list[int] = []

    def id_of(self, symbol: str) -> int:
        """The symbol's number, a new one where it has none."""
        number = self.ids.setdefault(symbol, len(self.symbols))
        if number == len(self.symbols):
            self.symbols.append(symbol)
            self.facts.append(Fact(symbol))
            self.waiting.append([])
        return number

    def add(self, rule: Rule) -> int:
        """Take in a rule of a new id; its place."""
        place = len(self.rules)
        self.rules.append(rule)
        self.places[rule.rule_id] = place
        premises = tuple(self.id_of(symbol) for symbol in rule.premises)
        self.premises.append(premises)
        self.conclusions.append(self.id_of(rule.conclusion))
        self.missing.append(len(premises))
        for premise in premises:
            self.waiting[premise].append(place)
        if not premises:
            self.unconditional.append(place)
        return place

    def remove(self, rule_id: str) -> None:
        """Forget a rule; its place stays empty."""
        place = self.places.pop(rule_id)
        for premise in self.premises[place]:
            self.waiting[premise].remove(place)
        if not self.premises[place]:
            self.unconditional.remove(place)
        self.missing[place] = _NEVER

    def active(self) -> Iterator[int]:
        """The places of the rules that there are, by id."""
        return (self.places[rule_id] for rule_id in sorted(self.places))

    # --- chaining ----------------------------------------------------------------------------

    def rounds(
        self, given: Iterable[int], max_depth: int | None = None, *, without: int | None = None
    ) -> Iterator[list[int]]:
        """
        The rules that give a new fact, round by round: at most *max_depth*, *without* one of them.

        Of several that give the same fact in one round only the cheapest, then the first by id;
        within a round in the order of their ids.
        """
        missing, waiting = self.missing.copy(), self.waiting
        frontier = list(given)
        known = bytearray(len(self.symbols))
        for symbol in frontier:
            known[symbol] = 1
        fired = list(self.unconditional)
        if without is not None:
            missing[without] = _NEVER
            fired = [place for place in fired if place != without]
        depth = 0
        while max_depth is None or depth < max_depth:
            for symbol in frontier:
                for place in waiting[symbol]:
                    missing[place] -= 1
                    if not missing[place]:
                        fired.append(place)
            won = self._first(fired, known)
            if not won:
                return
            depth += 1
            fired = []
            frontier = list(won)
            for symbol in frontier:
                known[symbol] = 1
            yield sorted(won.values(), key=self._rule_id) if len(won) > 1 else list(won.values())

    def reached(self, given: Iterable[int], *, without: int | None = None) -> set[int]:
        """The symbols that follow from those given, with them."""
        found = set(given)
        for places in self.rounds(found, without=without):
            found.update(map(self.conclusions.__getitem__, places))
        return found

    def _first(self, fired: Iterable[int], known: bytearray) -> dict[int, int]:
        """New symbol → the cheapest of the rules that conclude it, then the first by id."""
        won: dict[int, int] = {}
        conclusions = self.conclusions
        for place in fired:
            symbol = conclusions[place]
            if not known[symbol]:
                other = won.setdefault(symbol, place)
                if other != place and self._comes_before(place, other):
                    won[symbol] = place
        return won

    def _rule_id(self, place: int) -> str:
        return self.rules[place].rule_id

    def _comes_before(self, place: int, other: int) -> bool:
        a, b = self.rules[place], self.rules[other]
        return (a.cost, a.rule_id) < (b.cost, b.rule_id)


class LiveClosure:
    """
    What follows from the facts stated so far, kept up as facts and rules are added.

    Each addition costs what it leads to.  Where something is taken away all is derived anew, when
    it is asked for: a derived fact may have stood on it in more than one way.
    """

    def __init__(self, index: RuleIndex) -> None:
        self._index = index
        self._missing: list[int] = []
        self._known: set[int] = set()
        self._stated: set[int] = set()
        self._stale = False

    def state(self, symbol: int) -> None:
        self._stated.add(symbol)
        if not self._stale:
            self._reach([symbol])

    def retract(self, symbol: int) -> None:
        if symbol in self._stated:
            self._stated.discard(symbol)
            self._stale = True

    def rule_added(self, place: int) -> None:
        """The rule at that place is new, and is the last one."""
        if self._stale:
            return
        left = sum(premise not in self._known for premise in self._index.premises[place])
        self._missing.append(left)
        if not left:
            self._reach([self._index.conclusions[place]])

    def rule_removed(self) -> None:
        self._stale = True

    def known(self) -> set[int]:
        """The symbols that hold, stated or derived."""
        if self._stale:
            self._stale = False
            self._missing = self._index.missing.copy()
            self._known = set()
            unconditional = map(self._index.conclusions.__getitem__, self._index.unconditional)
            self._reach([*self._stated, *unconditional])
        return self._known

    def _reach(self, symbols: list[int]) -> None:
        missing, known = self._missing, self._known
        waiting, conclusions = self._index.waiting, self._index.conclusions
        while symbols:
            symbol = symbols.pop()
            if symbol in known:
                continue
            known.add(symbol)
            for place in waiting[symbol]:
                if place < len(missing):  # else it is being added, and counts for itself
                    missing[place] -= 1
                    if not missing[place]:
                        symbols.append(conclusions[place])
