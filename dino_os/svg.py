"""
Pictures as SVG text: elements as strings, escaped; the same input gives the same bytes anywhere.

    document(200, 50, rect(5, 5, 60, 20, fill="none", stroke="black"), text(10, 18, "a < b"))

Attributes are keyword arguments: an underscore stands for a hyphen, a closing one for none
(`class_`).
Lengths are in pixels from the upper left corner.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from engines.errors import InvalidInput

Number = float
Value = str | Number | None
Point = tuple[Number, Number]

_SPACE = "http://www.w3.org/2000/svg"
# What XML 1.0 cannot say even escaped.
_UNSAYABLE = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "\ufffd"
)


def document(width: Number, height: Number, *parts: str, title: str = "") -> str:
    """A whole file; *title* is what a reader of the picture hears first."""
    named = element("title", escaped(title)) if title else ""
    view = f"0 0 {number(width)} {number(height)}"
    size: dict[str, Value] = {"width": width, "height": height, "viewBox": view}
    body = "\n".join(part for part in (named, *parts) if part)
    role: dict[str, Value] = {"xmlns": _SPACE, "role": "img", "font_family": "sans-serif"}
    return element("svg", f"\n{body}\n", **role, **size) + "\n"


def rect(x: Number, y: Number, width: Number, height: Number, **attributes: Value) -> str:
    return element("rect", None, x=x, y=y, width=width, height=height, **attributes)


def circle(x: Number, y: Number, radius: Number, **attributes: Value) -> str:
    return element("circle", None, cx=x, cy=y, r=radius, **attributes)


def line(x1: Number, y1: Number, x2: Number, y2: Number, **attributes: Value) -> str:
    return element("line", None, x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def path(points: Iterable[Point] | str, *, closed: bool = False, **attributes: Value) -> str:
    """Straight lines through *points*, or path data as SVG has it (`M 0 0 C …`)."""
    if not isinstance(points, str):
        points = "M " + " L ".join(f"{number(x)} {number(y)}" for x, y in points)
        points += " Z" if closed else ""
    return element("path", None, d=points, **attributes)


def text(x: Number, y: Number, content: str, **attributes: Value) -> str:
    """A line of text whose baseline begins (`text_anchor` says otherwise) at that point."""
    return element("text", escaped(content), x=x, y=y, **attributes)


def group(*parts: str, **attributes: Value) -> str:
    return element("g", "\n".join(parts), **attributes)


def element(tag: str, content: str | None, /, **attributes: Value) -> str:
    """Any element; *content* is SVG already.  What is None is left out."""
    named = "".join(
        f' {_attribute(name)}="{escaped(value if isinstance(value, str) else number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{named}/>" if content is None else f"<{tag}{named}>{content}</{tag}>"


def escaped(content: str) -> str:
    """*content* as text of an element or an attribute; what XML cannot say is replaced."""
    return escape(content.translate(_UNSAYABLE))


def number(value: Number) -> str:
    """
    At most three decimals, none that are not needed.

    Raises:
        InvalidInput: It is not finite.
    """
    shown = f"{value:.3f}".rstrip("0").rstrip(".")
    if not shown.lstrip("-").replace(".", "").isdigit():
        raise InvalidInput(f"a picture has finite numbers only, found {value!r}")
    return "0" if shown == "-0" else shown


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-") if name != "viewBox" else name
