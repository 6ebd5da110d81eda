"""What a trajectory is made of: facts, rules with who bears their cost, and the paths they make."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from engines import checks
from engines.errors import DinoError, InvalidInput, NotFound

if TYPE_CHECKING:
    from engines.trajectory.planned import Plan

Parties = Mapping[str, float] | Iterable[str] | None


class FactNotFoundError(NotFound):
    """No fact was stated under that symbol, and no rule speaks of it."""


class RuleNotFoundError(NotFound):
    """No rule has that id."""


class Unreachable(DinoError):
    """No application of the rules leads from the facts to the goal."""


class Fact(NamedTuple):
    """
    A symbol and its value: text, a number, True, False or None.

    It holds as a premise unless its value is False or None: facts may say that something is not so.
    """

    symbol: str
    value: Any = True

    @property
    def holds(self) -> bool:
        return self.value is not False and self.value is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Where all premises hold, the conclusion does.

    Attributes:
        rule_id: Its name.
        premises: Symbols; without any the conclusion can be had by the cost alone.
        conclusion: A symbol.
        cost: Of applying it once, at least 0.
        bearers: Party → share of the cost, adding up to 1; names alone bear equal shares.
        beneficiaries: Party → what it gains, at least 0; names alone gain 1 each.
    """

    rule_id: str
    premises: tuple[str, ...]
    conclusion: str
    cost: float = 1.0
    bearers: tuple[tuple[str, float], ...] = ()
    beneficiaries: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        rule_id = checks.name(self.rule_id, "a rule's id")
        if isinstance(self.premises, str):
            raise InvalidInput(
                f"rule {rule_id!r}: premises must be a list of symbols, found {self.premises!r}"
            )
        premises = dict.fromkeys(
            checks.name(p, f"rule {rule_id!r}: a premise") for p in self.premises
        )
        checked = {
            "rule_id": rule_id,
            "premises": tuple(premises),
            "conclusion": checks.name(self.conclusion, f"rule {rule_id!r}: its conclusion"),
            "cost": checks.at_least(self.cost, 0, f"rule {rule_id!r}: cost"),
            "bearers": _shares(self.bearers, rule_id),
            "beneficiaries": _amounts(self.beneficiaries, f"rule {rule_id!r}: beneficiaries"),
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)

    def as_dict(self) -> dict[str, Any]:
        """As the journal has it: parties only where there are any."""
        plain: dict[str, Any] = {
            "rule_id": self.rule_id,
            "premises": list(self.premises),
            "conclusion": self.conclusion,
            "cost": self.cost,
        }
        if self.bearers:
            plain["bearers"] = dict(self.bearers)
        if self.beneficiaries:
            plain["beneficiaries"] = dict(self.beneficiaries)
        return plain


@dataclass(frozen=True, slots=True)
class Closure:
    """
    What follows from some facts.

    Attributes:
        facts: Those at the beginning, and those derived.
        derivation_depth: How many rounds of rules it took.
        rules_applied: The rule that first gave each derived fact; of several in one round the
            cheapest, then the first by id.
    """

    facts: frozenset[Fact]
    derivation_depth: int
    rules_applied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrajectoryPath:
    """
    A way from the first facts to the last, round by round.

    Attributes:
        path_id: The beginning of its fold.
        closures: The facts at the beginning, and after each round.
        score: Efficiency and fairness, weighted; 0…1.
        fairness_score: 0…1.
        total_cost: Of the rules it applies, each once.
        rules: These, in an order in which they can be applied.
        plan: What was proven about it.
    """

    path_id: str
    closures: tuple[Closure, ...]
    score: float
    fairness_score: float
    total_cost: float
    rules: tuple[Rule, ...] = ()
    plan: Plan | None = None


def fact(symbol: object, value: Any) -> Fact:
    """
    A fact that the journal can keep.

    Raises:
        InvalidInput: The symbol is no name, or the value none that a fact can have.
    """
    label = checks.name(symbol, "a fact's symbol")
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks.finite(value, f"fact {label!r}: its value")
    elif not isinstance(value, str | bool | None):
        raise InvalidInput(
            f"fact {label!r}: its value must be text, a number, true, false or null, "
            f"found {value!r}"
        )
    return Fact(label, value)


def facts_by_symbol(facts: Iterable[Fact]) -> dict[str, Fact]:
    """
    The facts, each under its symbol.

    Raises:
        InvalidInput: Something is no fact, or a symbol has two values.
    """
    found: dict[str, Fact] = {}
    for one in facts:
        if not isinstance(one, Fact):
            raise InvalidInput(f"expected a Fact, found {one!r}")
        if found.setdefault(one.symbol, one) != one:
            raise InvalidInput(f"fact {one.symbol!r} has two values")
    return found


def parties_of(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Everybody who bears a cost or gains something, by name."""
    return tuple(sorted({p for r in rules for p, _ in (*r.bearers, *r.beneficiaries)}))


def _shares(given: Any, rule_id: str) -> tuple[tuple[str, float], ...]:
    amounts = _amounts(given, f"rule {rule_id!r}: bearers")
    total = math.fsum(share for _, share in amounts)
    if amounts and total <= 0:
        raise InvalidInput(f"rule {rule_id!r}: the bearers' shares add up to nothing")
    # Shares that add up already stay as they are: what was read from a journal is not changed.
    if math.isclose(total, 1, rel_tol=1e-12):
        return amounts
    return tuple((party, share / total) for party, share in amounts)


def _amounts(given: Any, what: str) -> tuple[tuple[str, float], ...]:
    if isinstance(given, str):
        raise InvalidInput(f"{what} must be a list or a mapping of parties, found {given!r}")
    pairs: list[Any] = list(given.items() if isinstance(given, Mapping) else given or ())
    found: dict[str, float] = {}
    for one in pairs:
        pair = one if isinstance(one, tuple | list) else (one, 1.0)
        if len(pair) != 2:  # noqa: PLR2004  a party and an amount
            raise InvalidInput(f"{what}: expected a party and an amount, found {pair!r}")
        party = checks.name(pair[0], f"{what}: a party")
        if party in found:
            raise InvalidInput(f"{what}: {party!r} stands twice")
        found[party] = checks.at_least(pair[1], 0, f"{what}: of {party!r}")
    return tuple(sorted(found.items()))
