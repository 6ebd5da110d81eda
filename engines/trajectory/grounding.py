"""
Action schemas to rules: every way of filling in objects that can be reached at all.

Atoms are derived as a Datalog program is, semi-naively: each new atom is put into each precondition
that it fits, and the other preconditions are joined with what is known, by an index on arguments.
Deletes are left out.  A negated precondition stands for an atom of its own, which holds at first
where the atom does not, and which deleting the atom achieves.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from engines.errors import InvalidInput
from engines.trajectory.model import Fact, Rule

Atom = tuple[str, ...]
"""A predicate and its arguments; in a schema arguments that begin with ? are variables."""
Binding = dict[str, str]

GOAL = "goal"
_MOST = 200_000


@dataclass(frozen=True, slots=True)
class Schema:
    """
    An action with variables.

    Attributes:
        parameters: Variable → its types' names.
        needs, absent: Atoms that must hold, and must not.
        equal, distinct: Pairs of terms.
        adds, deletes: Its effects.
        cost: A number, or the atom of a function that has one for each filling.
    """

    name: str
    parameters: Mapping[str, frozenset[str]]
    needs: tuple[Atom, ...] = ()
    absent: tuple[Atom, ...] = ()
    equal: tuple[tuple[str, str], ...] = ()
    distinct: tuple[tuple[str, str], ...] = ()
    adds: tuple[Atom, ...] = ()
    deletes: tuple[Atom, ...] = ()
    cost: float | Atom = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """
    A planning task before it is grounded.

    Attributes:
        objects: Object → the names of its types, with those above them.
        initial: Atoms that hold at first.
        goal, goal_absent: Atoms that must hold in the end, and must not.
        values: Function atom → number.
    """

    schemas: tuple[Schema, ...]
    objects: Mapping[str, frozenset[str]]
    initial: frozenset[Atom]
    goal: tuple[Atom, ...]
    goal_absent: tuple[Atom, ...] = ()
    values: Mapping[Atom, float] = field(default_factory=dict)


def ground(world: World, *, most: int = _MOST) -> tuple[list[Fact], list[Rule]]:
    """
    The facts at first, and rules, of which the one named `goal` concludes `goal`.

    Raises:
        InvalidInput: There are more than *most* actions, or an action's cost is not known.
    """
    return _Grounder(world, most).run()


def shown(atom: Atom) -> str:
    return f"({' '.join(atom)})"


class _Grounder:
    def __init__(self, world: World, most: int) -> None:
        self._world = world
        self._most = most
        self._fluent = {atom[0] for schema in world.schemas for atom in schema.adds}
        self._negated = {atom[0] for schema in world.schemas for atom in schema.absent}
        self._negated |= {atom[0] for atom in world.goal_absent}
        self._deleted = {atom[0] for schema in world.schemas for atom in schema.deletes}
        self._known: dict[str, set[Atom]] = defaultdict(set)
        self._by_argument: dict[tuple[str, int, str], list[Atom]] = defaultdict(list)
        self._by_type: dict[str, list[str]] = defaultdict(list)
        for name in sorted(world.objects):
            for kind in world.objects[name]:
                self._by_type[kind].append(name)
        self._users: dict[str, list[tuple[Schema, int]]] = defaultdict(list)
        for schema in world.schemas:
            for number, atom in enumerate(schema.needs):
                self._users[atom[0]].append((schema, number))
        self._made: dict[tuple[str, Atom], None] = {}
        self._rules: list[Rule] = []

    def run(self) -> tuple[list[Fact], list[Rule]]:
        waiting = deque(sorted(self._world.initial))
        for schema in self._world.schemas:
            if not schema.needs:
                waiting.extend(self._applied(schema, {}))
        while waiting:
            atom = waiting.popleft()
            if atom in self._known[atom[0]]:
                continue
            self._known[atom[0]].add(atom)
            for place, argument in enumerate(atom[1:], 1):
                self._by_argument[atom[0], place, argument].append(atom)
            for schema, number in self._users[atom[0]]:
                first = self._matched(schema, schema.needs[number], atom, {})
                rest = [a for n, a in enumerate(schema.needs) if n != number]
                if first is not None:
                    for binding in self._joined(schema, rest, first):
                        waiting.extend(self._applied(schema, binding))
        facts = [
            Fact(shown(atom)) for atom in sorted(self._world.initial) if atom[0] in self._fluent
        ]
        return facts, [*self._rules, self._goal()]

    def _joined(self, schema: Schema, needs: list[Atom], binding: Binding) -> Iterator[Binding]:
        """Every way to fill in the rest from what is known, the most bound first."""
        if not needs:
            yield binding
            return
        chosen = max(needs, key=lambda atom: sum(_is_bound(term, binding) for term in atom[1:]))
        rest = [atom for atom in needs if atom is not chosen]
        for atom in self._candidates(chosen, binding):
            more = self._matched(schema, chosen, atom, binding)
            if more is not None:
                yield from self._joined(schema, rest, more)

    def _candidates(self, pattern: Atom, binding: Binding) -> Iterable[Atom]:
        filled = [binding.get(term, term) for term in pattern]
        bound = [
            self._by_argument.get((pattern[0], place, filled[place]), [])
            for place in range(1, len(pattern))
            if _is_bound(pattern[place], binding)
        ]
        if not bound:
            return sorted(self._known[pattern[0]])
        return min(bound, key=len)

    def _matched(
        self, schema: Schema, pattern: Atom, atom: Atom, binding: Binding
    ) -> Binding | None:
        if len(pattern) != len(atom):
            return None
        found = dict(binding)
        for term, value in zip(pattern[1:], atom[1:], strict=True):
            if not term.startswith("?"):
                if term != value:
                    return None
            elif found.setdefault(term, value) != value or not self._fits(schema, term, value):
                return None
        return found

    def _fits(self, schema: Schema, variable: str, value: str) -> bool:
        kinds = schema.parameters[variable]
        return not kinds or not kinds.isdisjoint(self._world.objects[value])

    def _applied(self, schema: Schema, binding: Binding) -> Iterator[Atom]:
        """What the action achieves, for each filling of the variables that no need binds."""
        open_ones = [variable for variable in schema.parameters if variable not in binding]
        choices = [self._of_type(schema.parameters[variable]) for variable in open_ones]
        for chosen in itertools.product(*choices):
            full = {**binding, **dict(zip(open_ones, chosen, strict=True))}
            if self._is_allowed(schema, full):
                yield from self._make(schema, full)

    def _of_type(self, kinds: frozenset[str]) -> list[str]:
        if not kinds:
            return sorted(self._world.objects)
        return sorted({name for kind in kinds for name in self._by_type[kind]})

    def _is_allowed(self, schema: Schema, binding: Binding) -> bool:
        equal = all(binding.get(a, a) == binding.get(b, b) for a, b in schema.equal)
        distinct = all(binding.get(a, a) != binding.get(b, b) for a, b in schema.distinct)
        # What holds at first and nothing deletes can never be absent.
        possible = all(
            atom[0] in self._deleted or _filled(atom, binding) not in self._world.initial
            for atom in schema.absent
        )
        return equal and distinct and possible

    def _make(self, schema: Schema, binding: Binding) -> Iterator[Atom]:
        action = (schema.name, *(binding[variable] for variable in schema.parameters))
        if (schema.name, action) in self._made:
            return
        if len(self._made) >= self._most:
            raise InvalidInput(f"more than {self._most:,} actions can be reached")
        self._made[schema.name, action] = None
        adds = list(dict.fromkeys(_filled(atom, binding) for atom in schema.adds))
        deletes = [_filled(a, binding) for a in schema.deletes if a[0] in self._negated]
        gives = [shown(atom) for atom in adds] + [_absent(atom) for atom in deletes]
        needs = [_filled(atom, binding) for atom in schema.needs]
        absent = [_filled(atom, binding) for atom in schema.absent]
        premises = (*self._premises(needs), *self._missing(absent))
        self._write(
            action,
            premises,
            [symbol for symbol in gives if symbol not in premises],
            binding,
            schema,
        )
        yield from adds

    def _write(
        self,
        action: Atom,
        premises: tuple[str, ...],
        gives: list[str],
        binding: Binding,
        schema: Schema,
    ) -> None:
        cost, name = self._cost(schema, binding), shown(action)
        if len(gives) == 1:
            self._rules.append(Rule(name, premises, gives[0], cost))
        elif gives:
            done = f"done {name}"
            self._rules.append(Rule(name, premises, done, cost))
            self._rules += [Rule(f"{name} gives {one}", (done,), one, 0.0) for one in gives]

    def _premises(self, atoms: Iterable[Atom]) -> Iterator[str]:
        """Of what never changes nothing is left: it holds."""
        return (shown(atom) for atom in atoms if atom[0] in self._fluent)

    def _missing(self, atoms: Iterable[Atom]) -> Iterator[str]:
        """Atoms that hold at first and must be deleted."""
        return (_absent(atom) for atom in atoms if atom in self._world.initial)

    def _cost(self, schema: Schema, binding: Binding) -> float:
        if not isinstance(schema.cost, tuple):
            return schema.cost
        term = _filled(schema.cost, binding)
        if term not in self._world.values:
            raise InvalidInput(f"action {schema.name}: {shown(term)} has no value")
        return self._world.values[term]

    def _goal(self) -> Rule:
        premises = dict.fromkeys(
            [*map(shown, self._needed_goals()), *self._missing(self._world.goal_absent)]
        )
        return Rule(GOAL, tuple(premises), GOAL, 0.0)

    def _needed_goals(self) -> Iterator[Atom]:
        """What holds for good is no goal; what can never hold stays one."""
        for atom in self._world.goal:
            if atom[0] in self._fluent or atom not in self._world.initial:
                yield atom


def _is_bound(term: str, binding: Binding) -> bool:
    return not term.startswith("?") or term in binding


def _filled(atom: Atom, binding: Binding) -> Atom:
    return (atom[0], *(binding.get(term, term) for term in atom[1:]))


def _absent(atom: Atom) -> str:
    return f"(not {shown(atom)})"
