"""
What an alert asks: a number of the metrics, held against a threshold.

    resource_flow < 80                                  a gauge, in percent
    nav_velocity > 5                                    a meter, per minute
    dino_tasks{state="dead"} > 10                       any series of a family
    sum(dino_tasks{state!="running"}) >= 1000           all of them: sum, max, min, avg, count
    increase(dino_task_workers_lost_total[10m]) > 0     by how much a counter grew
    absent(dino_engine_sessions)                        whether there is no such series
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engines.checks import did_you_mean
from engines.errors import InvalidInput
from engines.metrics.families import Family

_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_AGGREGATED: Mapping[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "avg": lambda found: sum(found) / len(found),
    "count": len,
}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FUNCTIONS = (*_AGGREGATED, "increase", "absent")
_NAMED = 5
_whole = re.compile(
    r"""\s*(?:(?P<function>\w+)\s*\(\s*(?P<inner>.*)\)|(?P<plain>[^<>=!\s{]+(?:\{.*\})?))\s*
    (?:(?P<compared>>=|<=|==|!=|>|<)\s*(?P<threshold>\S+)\s*)?""",
    re.VERBOSE | re.DOTALL,
).fullmatch
_selected = re.compile(
    r"\s*(?P<name>[a-zA-Z_:][\w:]*)\s*(?:\{(?P<labels>.*)\})?\s*(?:\[(?P<span>[^\]]*)\])?\s*",
    re.DOTALL,
).fullmatch
_label = re.compile(r'\s*([a-zA-Z_]\w*)\s*(!?=)\s*"([^"\\]*)"\s*(?:,|$)')
_span = re.compile(r"(\d+(?:\.\d+)?)([smhd])").fullmatch


class Point(NamedTuple):
    """One series and its number now."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def text(self) -> str:
        pairs = ",".join(f'{name}="{value}"' for name, value in sorted(self.labels.items()))
        return f"{self.name}{{{pairs}}}" if pairs else self.name


def points_of(plain: Mapping[str, float], families: Iterable[Family]) -> list[Point]:
    """What expressions are held against: gauges and meters by their name, and all families."""
    found = [Point(name, {}, value) for name, value in plain.items()]
    for family in families:
        found += [Point(family.name + s.suffix, s.labels, s.value) for s in family.samples]
    return found


def refuse_unknown(expression: Expression, known: Collection[str]) -> None:
    """
    Raises:
        InvalidInput: It asks for what nothing measures; `absent()` may.
    """
    name = expression.selector.name
    if expression.function != "absent" and name not in known:
        raise InvalidInput(
            f"no metric {name!r}{did_you_mean(name, known)}",
            hint="docs/metrics.md names all; a histogram ends in _bucket, _sum or _count",
        )


class Answer(NamedTuple):
    """Whether it is so, of which series (some of them), and the number that was held against."""

    holds: bool
    value: float | None
    series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """A name, and what labels must be or must not be."""

    name: str
    labels: tuple[tuple[str, bool, str], ...] = ()

    @property
    def text(self) -> str:
        pairs = [f'{name}{"=" if same else "!="}"{value}"' for name, same, value in self.labels]
        return f"{self.name}{{{','.join(pairs)}}}" if pairs else self.name

    def of(self, points: Iterable[Point]) -> list[Point]:
        return [
            point
            for point in points
            if point.name == self.name
            and all((point.labels.get(n, "") == value) == same for n, same, value in self.labels)
        ]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read; `text` is as it was written."""

    text: str
    selector: Selector
    function: str = ""
    window_s: float = 0.0
    compared: str = ">"
    threshold: float = 0.0

    def answer(
        self, points: Iterable[Point], grown: Callable[[str, float, float], float | None]
    ) -> Answer:
        """
        Whether it is so now.  What was not measured is not so.

        Args:
            grown: By how much the readings of that name, which is now at so much, grew in so many
                seconds.
        """
        found = self.selector.of(points)
        if self.function == "absent":
            return Answer(not found, None)
        if self.function:
            if not found:
                return Answer(holds=False, value=None)
            return self._held_against(self._taken_together(found, grown), found)
        holds = [p for p in found if _COMPARED[self.compared](p.value, self.threshold)]
        shown = holds or found
        if not shown:
            return Answer(holds=False, value=None)
        furthest = min if self.compared.startswith("<") else max
        value = furthest(point.value for point in shown)
        return Answer(bool(holds), value, tuple(point.text for point in holds[:_NAMED]))

    @property
    def watched(self) -> str | None:
        """Of what it needs readings from before."""
        return self.selector.text if self.function == "increase" else None

    def _taken_together(
        self, found: list[Point], grown: Callable[[str, float, float], float | None]
    ) -> float | None:
        values = [point.value for point in found]
        if self.function == "increase":
            return grown(self.selector.text, sum(values), self.window_s)
        return float(_AGGREGATED[self.function](values))

    def _held_against(self, value: float | None, found: list[Point]) -> Answer:
        if value is None:
            return Answer(holds=False, value=None)
        holds = _COMPARED[self.compared](value, self.threshold)
        return Answer(holds, value, tuple(p.text for p in found[:_NAMED]) if holds else ())


def read_expression(text: str) -> Expression:
    """
    *text* as an expression.

    Raises:
        InvalidInput: It is none.
    """
    match = _whole(text)
    if match is None:
        raise InvalidInput(
            f"not an expression: {text!r:.80}", hint='write it as dino_tasks{state="dead"} > 10'
        )
    function = match["function"] or ""
    if function and function not in _FUNCTIONS:
        guess = did_you_mean(function, _FUNCTIONS)
        raise InvalidInput(f"no function {function!r}{guess}")
    selector, window_s = _read_selector(match["inner"] if function else match["plain"])
    if (window_s > 0) != (function == "increase"):
        raise InvalidInput("a time in brackets belongs to increase(), as increase(name[10m])")
    if (match["compared"] is None) != (function == "absent"):
        raise InvalidInput(
            "a threshold is missing" if function != "absent" else "absent() has no threshold"
        )
    threshold = _number(match["threshold"]) if match["threshold"] else 0.0
    return Expression(
        text.strip(), selector, function, window_s, match["compared"] or ">", threshold
    )


def _read_selector(text: str) -> tuple[Selector, float]:
    match = _selected(text)
    if match is None:
        raise InvalidInput(f"not a name of a metric: {text!r:.80}")
    labels, at, told = [], 0, (match["labels"] or "").strip()
    while at < len(told):
        label = _label.match(told, at)
        if label is None:
            raise InvalidInput(f'labels are written as {{state="dead"}}, found {{{told:.60}}}')
        labels.append((label[1], label[2] == "=", label[3]))
        at = label.end()
    window_s = 0.0
    if match["span"] is not None:
        span = _span(match["span"].strip())
        window_s = float(span[1]) * _UNITS[span[2]] if span else 0.0
        if not window_s:
            raise InvalidInput(f"not a time: [{match['span']}]", hint="as in [90s], [10m], [24h]")
    return Selector(match["name"], tuple(labels)), window_s


def _number(text: str) -> float:
    try:
        found = float(text.removesuffix("%"))
    except ValueError:
        found = float("nan")
    if found - found != 0:  # neither a number nor finite
        raise InvalidInput(f"the threshold must be a number, found {text!r:.40}")
    return found
