"""Pictures are well-formed XML, whatever they say."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os import svg
from engines.errors import InvalidInput

SPACE = "{http://www.w3.org/2000/svg}"


def test_every_kind_of_part_is_an_element() -> None:
    """With its attributes in SVG's spelling and numbers without needless digits."""
    parts = [
        svg.rect(0, 1.5, 10, 1 / 3, stroke_width=2, class_="box", fill=None),
        svg.circle(-0.0001, 2, 3),
        svg.line(0, 0, 1, 1),
        svg.path([(0, 0), (1, 2.25)], closed=True),
        svg.path("M 0 0 C 1 1 2 2 3 3"),
        svg.group(svg.text(1, 2, "a < b & c"), opacity=0.5),
    ]
    root = ET.fromstring(svg.document(100, 50, *parts, title="a picture"))
    assert root.attrib["viewBox"] == "0 0 100 50"
    assert [child.tag.removeprefix(SPACE) for child in root] == [
        *("title", "rect", "circle", "line", "path", "path", "g")
    ]
    assert root[1].attrib == {
        "x": "0",
        "y": "1.5",
        "width": "10",
        "height": "0.333",
        "stroke-width": "2",
        "class": "box",
    }
    assert root[2].attrib["cx"] == "0"
    assert root[4].attrib["d"] == "M 0 0 L 1 2.25 Z"
    assert root[6][0].text == "a < b & c"


@given(st.text())
def test_any_text_is_well_formed(content: str) -> None:
    """Controls, quotes, lone surrogates and tags are shown, not obeyed."""
    root = ET.fromstring(svg.document(1, 1, svg.text(0, 0, content, id=content)).encode())
    assert [child.tag for child in root] == [SPACE + "text"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InvalidInput, match="finite"):
        svg.line(0, 0, value, 0)
