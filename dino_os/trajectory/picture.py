"""A derivation drawn from left to right: facts, and the rules that lead from one to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dino_os import svg
from engines.trajectory import Rule

_WIDE, _HIGH = 150, 26
_ACROSS, _DOWN = 210, 44
_EDGE, _HEAD = 20, 44
_LETTERS = 20
_STATED, _DERIVED, _GOAL = "#e8eef7", "#ffffff", "#d9f2d9"


def derivation(steps: Iterable[Rule], goals: Iterable[str], title: str) -> str:
    """
    The picture as SVG.

    Args:
        steps: In an order in which they can be applied.
        goals: Facts to be marked.
    """
    rules = list(steps)
    facts, doings = _columns(rules, set(goals))
    places = {
        name: (2 * depth, row) for depth, names in facts.items() for row, name in enumerate(names)
    }
    rows = {
        rule.rule_id: (2 * d - 1, row)
        for d, found in doings.items()
        for row, rule in enumerate(found)
    }
    last = max((column for column, _ in places.values()), default=0)
    most = max((row for _, row in (*places.values(), *rows.values())), default=0)
    width = 2 * _EDGE + last * _ACROSS + _WIDE
    height = _HEAD + _EDGE + most * _DOWN + _HIGH
    wanted = set(goals)
    derived = {rule.conclusion for rule in rules}
    lines = [line for rule in rules for line in _lines(rule, places, rows)]
    boxes = [
        _box(place, name, _GOAL if name in wanted else _DERIVED if name in derived else _STATED)
        for name, place in places.items()
    ]
    labels = [_label(rows[rule.rule_id], rule) for rule in rules]
    head = svg.text(_EDGE, _EDGE + 6, title, font_size=15, font_weight="bold")
    return svg.document(width, height, head, *lines, *boxes, *labels, title=title)


def _columns(
    rules: list[Rule], goals: set[str]
) -> tuple[dict[int, list[str]], dict[int, list[Rule]]]:
    """Facts, and the rules that lead to them, by the number of rounds they take."""
    depths: dict[str, int] = {}
    doings: dict[int, list[Rule]] = defaultdict(list)
    for rule in rules:
        for premise in rule.premises:
            depths.setdefault(premise, 0)
        depth = 1 + max((depths[premise] for premise in rule.premises), default=0)
        depths[rule.conclusion] = depth
        doings[depth].append(rule)
    for goal in sorted(goals - depths.keys()):
        depths[goal] = 0
    facts: dict[int, list[str]] = defaultdict(list)
    for name, depth in depths.items():
        facts[depth].append(name)
    return facts, doings


def _at(place: tuple[int, int]) -> svg.Point:
    column, row = place
    return _EDGE + column * _ACROSS, _HEAD + row * _DOWN


def _lines(
    rule: Rule, places: dict[str, tuple[int, int]], rows: dict[str, tuple[int, int]]
) -> list[str]:
    x, y = _at(rows[rule.rule_id])
    to_x, to_y = _at(places[rule.conclusion])
    ends = [(_at(places[premise]), (x, y)) for premise in rule.premises]
    curves = [_curve(a + _WIDE, b, c, d) for (a, b), (c, d) in ends]
    return [*curves, _curve(x + _WIDE, y, to_x, to_y)]


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    y1, y2, middle = y1 + _HIGH / 2, y2 + _HIGH / 2, (x1 + x2) / 2
    numbers = [svg.number(n) for n in (x1, y1, middle, y1, middle, y2, x2, y2)]
    data = "M {} {} C {} {} {} {} {} {}".format(*numbers)
    return svg.path(data, fill="none", stroke="#8899aa")


def _box(place: tuple[int, int], name: str, fill: str) -> str:
    x, y = _at(place)
    return svg.group(
        svg.element("title", svg.escaped(name)),
        svg.rect(x, y, _WIDE, _HIGH, rx=6, fill=fill, stroke="#445566"),
        svg.text(x + _WIDE / 2, y + 17, _short(name), text_anchor="middle", font_size=12),
    )


def _label(place: tuple[int, int], rule: Rule) -> str:
    x, y = _at(place)
    bearers = ", ".join(f"{party} {share:.0%}" for party, share in rule.bearers)
    told = f"{rule.rule_id}: cost {rule.cost:g}{f', borne by {bearers}' if bearers else ''}"
    shown = f"{_short(rule.rule_id)} · {rule.cost:g}"
    return svg.group(
        svg.element("title", svg.escaped(told)),
        svg.rect(x, y + 2, _WIDE, _HIGH - 4, fill="#fff8e1", stroke="#c9b458"),
        svg.text(x + _WIDE / 2, y + 17, shown, text_anchor="middle", font_size=11),
    )


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
