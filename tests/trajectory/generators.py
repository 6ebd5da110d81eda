"""Generated tasks without deletes: layered ones, and ones whose optimum is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from engines.trajectory import Rule
from tests.trajectory.kit import least_cost


@dataclass(frozen=True)
class Generated:
    """From no facts to *goals*; *optimum* is None where nobody knows it."""

    name: str
    rules: list[Rule]
    goals: list[str]
    optimum: float | None = None


def layered(  # noqa: PLR0917  the order of the literature
    layers: int, width: int, ways: int, most: int, goals: int, seed: int
) -> Generated:
    """
    Layers of facts, each given by so many rules with up to *most* premises of the two layers before.

    And twice as many rules as a layer is wide that lead back, so that there are cycles.
    """
    draw = Random(seed)
    rules: list[Rule] = []

    def add(premises: list[str], conclusion: str) -> None:
        cost = draw.randint(1, 20)
        rules.append(Rule(f"r{len(rules)}", tuple(premises), conclusion, cost))

    names = [[f"f{layer}-{place}" for place in range(width)] for layer in range(layers)]
    for layer, facts in enumerate(names):
        before = [name for row in names[max(0, layer - 2) : layer] for name in row]
        for fact in facts:
            for _ in range(ways):
                add(draw.sample(before, draw.randint(1, most)) if before else [], fact)
    for _ in range(2 * width):
        low, high = sorted(draw.sample(range(layers), 2))
        add([draw.choice(names[high])], draw.choice(names[low]))
    shape = f"layered {layers}x{width}, seed {seed}"
    return Generated(shape, rules, draw.sample(names[-1], goals))


def components(count: int, seed: int, *, kinds: int = 8) -> Generated:
    """Small cyclic tasks side by side, each solved by exhaustion; one free rule joins their goals."""
    draw = Random(seed)
    small = [task for number in range(kinds) if (task := _component(seed * 1000 + number))]
    rules: list[Rule] = []
    ends: list[str] = []
    total = 0.0
    for number in range(count):
        kind = draw.choice(small)
        rules += [
            Rule(
                f"c{number}-{rule.rule_id}",
                tuple(f"c{number}-{premise}" for premise in rule.premises),
                f"c{number}-{rule.conclusion}",
                rule.cost,
            )
            for rule in kind.rules
        ]
        ends += [f"c{number}-{goal}" for goal in kind.goals]
        assert kind.optimum is not None
        total += kind.optimum
    rules.append(Rule("joined", tuple(ends), "end", 0))
    draw.shuffle(rules)
    return Generated(f"components {count}, seed {seed}", rules, ["end"], total)


def _component(seed: int) -> Generated | None:
    task = layered(3, 2, 1, 2, 2, seed)
    extra = layered(3, 2, 2, 2, 2, seed + 1)
    rules = [
        *task.rules,
        *(Rule(f"x{r.rule_id}", r.premises, r.conclusion, r.cost) for r in extra.rules[::4]),
    ]
    best = least_cost(rules, (), task.goals)
    return None if best is None else Generated("", rules, task.goals, best)


def set_cover(elements: int, sets: int, dearer: int, seed: int) -> Generated:
    """
    Rules that buy a set, and free rules from a set to its elements, all of which are goals.

    Each element has a price; a planted partition costs the sum of them, decoys that much or more: no
    cover costs less than the sum of all prices.
    """
    draw = Random(seed)
    price = [draw.randint(1, 9) for _ in range(elements)]
    order = draw.sample(range(elements), elements)
    cuts = sorted(draw.sample(range(1, elements), max(1, elements // 5)))
    planted = [order[a:b] for a, b in zip([0, *cuts], [*cuts, elements], strict=True)]
    decoys = [draw.sample(range(elements), draw.randint(2, 6)) for _ in range(sets - len(planted))]
    rules: list[Rule] = []
    for number, members in enumerate([*planted, *decoys]):
        cost = sum(price[e] for e in members) + (
            draw.randint(0, dearer) if number >= len(planted) else 0
        )
        rules.append(Rule(f"buy{number}", (), f"s{number}", cost))
        rules += [Rule(f"has{number}-{e}", (f"s{number}",), f"e{e}", 0) for e in members]
    draw.shuffle(rules)
    goals = [f"e{e}" for e in range(elements)]
    return Generated(f"set cover {elements}/{sets}, seed {seed}", rules, goals, sum(price))


def planted(facts: int, others: int, seed: int) -> Generated:
    """
    A planted derivation of one goal; every other rule for its facts needs more and costs no less.

    So the planted one is the cheapest, at any size.
    """
    draw = Random(seed)
    rules: list[Rule] = []
    costs: list[float] = []
    for number in range(facts):
        before = [f"p{n}" for n in range(max(0, number - 8), number)]
        premises = draw.sample(before, min(len(before), draw.randint(1, 3)))
        if number == facts - 1:
            premises = sorted({*premises, *_unused(rules, number)})
        costs.append(draw.randint(1, 20))
        rules.append(Rule(f"r{number}", tuple(premises), f"p{number}", costs[-1]))
    chosen = list(rules)
    noise = [f"noise{number}" for number in range(1, others, 2)]
    for number in range(others):
        if number % 2:
            rules.append(
                Rule(
                    f"n{number}",
                    (f"p{draw.randrange(facts)}",),
                    f"noise{number}",
                    draw.randint(1, 9),
                )
            )
            continue
        place = draw.randrange(facts)
        more = [draw.choice(noise)]
        dearer = costs[place] + draw.randint(0, 5)
        rules.append(Rule(f"d{number}", (*chosen[place].premises, *more), f"p{place}", dearer))
    draw.shuffle(rules)
    name = f"planted {facts}+{others}, seed {seed}"
    return Generated(name, rules, [f"p{facts - 1}"], math.fsum(costs))


def _unused(rules: list[Rule], count: int) -> set[str]:
    """What nothing needs yet: with these as premises all of the planted facts are needed."""
    used = {premise for rule in rules for premise in rule.premises}
    return {f"p{number}" for number in range(count)} - used
