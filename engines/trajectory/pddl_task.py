"""
Planning tasks in PDDL, read by the `pddl` library (an extra), as facts and rules without deletes.

STRIPS with types, constants, equality, negated preconditions and action costs.  What else a task
asks for is refused: without quantifiers, conditions and numbers it would be another task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.errors import DinoError, InvalidInput
from engines.trajectory.grounding import Atom, Schema, World, ground
from engines.trajectory.model import Fact, Rule


class ParserMissing(DinoError):
    """The library that reads PDDL is not installed."""

    exit_code = 4


def load_pddl(domain: Path, problem: Path) -> tuple[list[Fact], list[Rule]]:
    """
    The task in two files; its goal is what the rule `goal` concludes.

    Raises:
        InvalidInput: A file cannot be read, is no PDDL, or asks for what is not supported.
        ParserMissing: The extra `pddl` is not installed.
    """
    return ground(_world(*_parsed(domain, problem)))


def _parsed(domain: Path, problem: Path) -> tuple[Any, Any]:
    try:
        from pddl.parser.domain import DomainParser  # noqa: PLC0415  an extra
        from pddl.parser.problem import ProblemParser  # noqa: PLC0415
    except ImportError:
        raise ParserMissing(
            "PDDL is read by a library that is not installed", hint="pip install 'dino-os[pddl]'"
        ) from None
    return _read(DomainParser(), _declared(_text(domain)), domain), _read(
        ProblemParser(), _text(problem), problem
    )


def _declared(text: str) -> str:
    """With requirements that the library asks for, and that old tasks leave out."""
    # It takes every function but total-cost for a numeric fluent; a table of costs is none.
    text = text.replace(":action-costs", ":action-costs :numeric-fluents")
    typed = "(:types" in text and ":typing" not in text and ":adl" not in text
    return text.replace("(:requirements", "(:requirements :typing", 1) if typed else text


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").lower()  # PDDL knows no case
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not UTF-8") from None


def _read(parser: Any, text: str, path: Path) -> Any:
    try:
        return parser(text)
    except RecursionError:
        raise InvalidInput(f"{path}: not PDDL: nested too deeply") from None
    except Exception as error:  # noqa: BLE001  the parser's own and those of its parts
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InvalidInput(f"{path}: not PDDL that can be read: {first}") from None


def _world(domain: Any, problem: Any) -> World:
    if str(problem.domain_name) != str(domain.name):
        raise InvalidInput(f"the problem is one of {problem.domain_name}, not of {domain.name}")
    above = _Types(domain.types)
    objects = {
        str(one.name): above.of(one.type_tag) for one in (*domain.constants, *problem.objects)
    }
    counts = _counts(problem.metric)
    schemas = [
        _schema(action, counts=counts)
        for action in sorted(domain.actions, key=lambda a: str(a.name))
    ]
    initial, values = _initial(problem.init)
    goal = _Condition("the goal", problem.goal)
    if goal.equal or goal.distinct:
        raise InvalidInput("the goal: = is not supported there")
    world = World(tuple(schemas), objects, initial, goal.needs, goal.absent, values)
    _check_declared(world, {(str(p.name), p.arity) for p in domain.predicates})
    return world


def _counts(metric: Any) -> bool:
    """Whether actions have costs; without a metric each costs 1."""
    if metric is None:
        return False
    if str(metric.optimization) != "minimize" or _term_name(metric.expression) != "total-cost":
        raise InvalidInput(f"the metric ({metric}) is not supported; only least total-cost is")
    return True


def _check_declared(world: World, predicates: set[tuple[str, int]]) -> None:
    """A misspelt name would make another task."""
    stated = [
        *(("the initial state", atom) for atom in sorted(world.initial)),
        *(("the goal", atom) for atom in (*world.goal, *world.goal_absent)),
        *(
            (f"action {schema.name}", atom)
            for schema in world.schemas
            for atom in (*schema.needs, *schema.absent, *schema.adds, *schema.deletes)
        ),
    ]
    for where, (predicate, *terms) in stated:
        if (predicate, len(terms)) not in predicates:
            raise InvalidInput(f"{where}: no predicate {predicate!r} of {len(terms)} arguments")
        for term in terms:
            if not term.startswith("?") and term not in world.objects:
                raise InvalidInput(f"{where}: no object {term!r}")


class _Types:
    def __init__(self, parents: Mapping[Any, Any]) -> None:
        self._parents = {str(k): None if v is None else str(v) for k, v in parents.items()}

    def of(self, tag: Any) -> frozenset[str]:
        """The type and those above it; all are objects."""
        found, name = {"object"}, None if tag is None else str(tag)
        if name is not None and name not in self._parents and name not in found:
            raise InvalidInput(f"no type {name!r}")
        while name is not None and name not in found:
            found.add(name)
            name = self._parents.get(name)
        return frozenset(found)


class _Condition:
    """A conjunction, taken apart."""

    def __init__(self, where: str, formula: Any) -> None:
        self._where = where
        needs, absent, equal, distinct = list[Atom](), list[Atom](), list[Any](), list[Any]()
        for literal, negated in self._literals(formula):
            if _kind(literal) == "EqualTo":
                pair = (_term(literal.left), _term(literal.right))
                (distinct if negated else equal).append(pair)
            else:
                (absent if negated else needs).append(_atom(literal))
        self.needs, self.absent = tuple(needs), tuple(absent)
        self.equal, self.distinct = tuple(equal), tuple(distinct)

    def _literals(self, formula: Any) -> Iterator[tuple[Any, bool]]:
        kind = _kind(formula)
        if formula is None or (kind in {"And", "Or"} and not formula.operands):
            return
        if kind == "And":
            for operand in formula.operands:
                yield from self._literals(operand)
        elif kind == "Not" and _kind(formula.argument) in {"Predicate", "EqualTo"}:
            yield formula.argument, True
        elif kind in {"Predicate", "EqualTo"}:
            yield formula, False
        else:
            raise InvalidInput(
                f"{self._where}: {kind} is not supported; only a conjunction of literals is"
            )


def _schema(action: Any, *, counts: bool) -> Schema:
    where = f"action {action.name}"
    condition = _Condition(where, action.precondition)
    adds, deletes, costs = list[Atom](), list[Atom](), list[Any]()
    for effect in _effects(action.effect):
        kind = _kind(effect)
        if kind == "Predicate":
            adds.append(_atom(effect))
        elif kind == "Not" and _kind(effect.argument) == "Predicate":
            deletes.append(_atom(effect.argument))
        elif kind == "Increase" and _term_name(effect.operands[0]) == "total-cost":
            costs.append(effect.operands[1])
        else:
            raise InvalidInput(f"{where}: an effect {kind} is not supported")
    cost: float | Atom = 1.0
    if counts:
        cost = _amount(costs[0], where) if costs else 0.0
    parameters = {
        f"?{variable.name}": frozenset(map(str, variable.type_tags))
        for variable in action.parameters
    }
    return Schema(
        str(action.name),
        parameters,
        condition.needs,
        condition.absent,
        condition.equal,
        condition.distinct,
        tuple(adds),
        tuple(deletes),
        cost,
    )


def _effects(formula: Any) -> Iterable[Any]:
    if formula is None:
        return ()
    if _kind(formula) in {"And", "Or"}:
        return [part for operand in formula.operands for part in _effects(operand)]
    return [formula]


def _amount(expression: Any, where: str) -> float | Atom:
    kind = _kind(expression)
    if kind == "NumericValue":
        return float(expression.value)
    if kind == "NumericFunction":
        return (_term_name(expression), *map(_term, expression.terms))
    raise InvalidInput(f"{where}: a cost {kind} is not supported")


def _initial(given: Iterable[Any]) -> tuple[frozenset[Atom], dict[Atom, float]]:
    atoms: set[Atom] = set()
    values: dict[Atom, float] = {}
    for one in given:
        kind = _kind(one)
        if kind == "Predicate":
            atoms.add(_atom(one))
        elif kind == "EqualTo" and _kind(one.operands[0]) == "NumericFunction":
            function, value = one.operands
            values[_term_name(function), *map(_term, function.terms)] = float(value.value)
        elif kind != "Not":  # that something does not hold need not be said
            raise InvalidInput(f"the initial state: {kind} is not supported")
    return frozenset(atoms), values


def _atom(predicate: Any) -> Atom:
    return (str(predicate.name), *map(_term, predicate.terms))


def _term(term: Any) -> str:
    return f"?{term.name}" if _kind(term) == "Variable" else str(term.name)


def _term_name(function: Any) -> str:
    return str(getattr(function, "name", ""))


def _kind(formula: Any) -> str:
    return type(formula).__name__
