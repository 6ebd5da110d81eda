"""A part of the graph drawn: causes on the left, what came of them on the right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dino_os import svg
from engines.provenance import LINEAGE, Edge, Kind, Node, said_of, shortened

_WIDE, _HIGH, _ACROSS, _DOWN = 190, 28, 250, 46
_EDGE, _HEAD, _LETTERS = 20, 48, 26
# As the PROV primer has them.
_FILLS = {Kind.ENTITY: "#fffc87", Kind.ACTIVITY: "#9fb1fc", Kind.AGENT: "#fed37f"}
_ROUND = {Kind.ENTITY: 14, Kind.ACTIVITY: 0, Kind.AGENT: 6}
Place = tuple[int, int]


def picture(nodes: Sequence[Node], edges: Iterable[Edge], title: str) -> str:
    """The nodes and the edges between them as SVG."""
    shown = {node.id: node for node in nodes}
    drawn = [edge for edge in edges if edge.effect in shown and edge.cause in shown]
    places = _places(sorted(shown), drawn)
    columns = 1 + max((column for column, _ in places.values()), default=0)
    rows = 1 + max((row for _, row in places.values()), default=0)
    lines = [_line(edge, places) for edge in drawn]
    boxes = [_box(shown[id_], place) for id_, place in sorted(places.items())]
    head = svg.text(_EDGE, _EDGE + 6, title, font_size=15, font_weight="bold")
    width, height = 2 * _EDGE + (columns - 1) * _ACROSS + _WIDE, _HEAD + _EDGE + rows * _DOWN
    return svg.document(width, height, head, *lines, *boxes, title=title)


def _places(ids: Sequence[str], edges: Iterable[Edge]) -> dict[str, Place]:
    """Column and row of each: behind all of its causes, but for those of a circle."""
    causes: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if edge.effect and edge.cause and edge.effect != edge.cause and edge.relation in LINEAGE:
            causes[edge.effect].add(edge.cause)
    columns = _columns(ids, causes)
    rows: dict[int, int] = defaultdict(int)
    places: dict[str, Place] = {}
    for id_ in sorted(ids, key=lambda one: (columns[one], one)):
        column = columns[id_]
        places[id_] = column, rows[column]
        rows[column] += 1
    return places


def _columns(ids: Sequence[str], causes: Mapping[str, set[str]]) -> dict[str, int]:
    waiting = {id_: set(causes.get(id_, ())) for id_ in ids}
    columns: dict[str, int] = {}
    while waiting:
        ready = [id_ for id_, left in waiting.items() if not left]
        # Of a circle the one with the fewest causes that are open goes first.
        ready = ready or [min(waiting, key=lambda one: (len(waiting[one]), one))]
        for id_ in ready:
            before = [columns[c] for c in causes.get(id_, ()) if c in columns]
            columns[id_] = 1 + max(before, default=-1)
            del waiting[id_]
        for left in waiting.values():
            left.difference_update(ready)
    return columns


def _at(place: Place) -> svg.Point:
    column, row = place
    return _EDGE + column * _ACROSS, _HEAD + row * _DOWN


def _line(edge: Edge, places: Mapping[str, Place]) -> str:
    x1, y1 = _at(places[edge.cause or ""])
    x2, y2 = _at(places[edge.effect or ""])
    x1, y1, y2 = x1 + _WIDE, y1 + _HIGH / 2, y2 + _HIGH / 2
    middle = (x1 + x2) / 2
    numbers = [svg.number(n) for n in (x1, y1, middle, y1, middle, y2, x2, y2)]
    data = "M {} {} C {} {} {} {} {} {}".format(*numbers)
    told = f"{edge.effect} {said_of(edge)} {edge.cause}"
    return svg.group(
        svg.element("title", svg.escaped(told)), svg.path(data, fill="none", stroke="#8899aa")
    )


def _box(node: Node, place: Place) -> str:
    x, y = _at(place)
    fill, round_ = _FILLS[node.kind], _ROUND[node.kind]
    return svg.group(
        svg.element("title", svg.escaped(node.id)),
        svg.rect(x, y, _WIDE, _HIGH, rx=round_, fill=fill, stroke="#445566"),
        svg.text(
            x + _WIDE / 2, y + 18, shortened(node.id, _LETTERS), text_anchor="middle", font_size=12
        ),
    )
