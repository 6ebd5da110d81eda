"""The text that Prometheus reads: exactly its format, read back by its own reader."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.metrics import render
from engines.metrics.families import (
    Family,
    Sample,
    bound_text,
    by,
    counter,
    counters,
    gauge,
    gauges,
    histograms,
)
from engines.metrics.histogram import DURATIONS, Histogram
from tests.metrics.desk import parsed, series

LINE = re.compile(
    r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_]\w*="([^"\\\n]|\\["\\n])*"'
    r'(,[a-zA-Z_]\w*="([^"\\\n]|\\["\\n])*")*\})? (-?[0-9.]+(e[-+]?[0-9]+)?|[+-]Inf|NaN)'
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
values = st.floats(0, 1e15) | st.integers(0, 10**12)


def test_the_text_is_that_of_the_specification() -> None:
    found = Histogram((0.5, 1))
    for value in (0.1, 0.5, 0.7, 9.0):
        found.observe(value)
    text = render(
        [
            counters("a_total", "Some.", [({"b": "x", "a": "y"}, 3)]),
            gauge("g", "Back\\slash and\nline.", 0.25),
            histograms("h_seconds", "Times.", [({"k": 'a"\\\n'}, found)]),
        ]
    )
    assert text == (
        "# HELP a_total Some.\n"
        "# TYPE a_total counter\n"
        'a_total{a="y",b="x"} 3\n'
        "# HELP g Back\\\\slash and\\nline.\n"
        "# TYPE g gauge\n"
        "g 0.25\n"
        "# HELP h_seconds Times.\n"
        "# TYPE h_seconds histogram\n"
        'h_seconds_bucket{k="a\\"\\\\\\n",le="0.5"} 2\n'
        'h_seconds_bucket{k="a\\"\\\\\\n",le="1"} 3\n'
        'h_seconds_bucket{k="a\\"\\\\\\n",le="+Inf"} 4\n'
        'h_seconds_sum{k="a\\"\\\\\\n"} 10.3\n'
        'h_seconds_count{k="a\\"\\\\\\n"} 4\n'
    )


@given(st.dictionaries(texts, values, max_size=5))
def test_any_label_and_number_comes_back_as_it_was(found: dict[str, float]) -> None:
    text = render([counters("n_total", "Any.", by("what", found))])
    assert parsed(text) == {series("n_total", what=name): value for name, value in found.items()}
    # A label's value may hold what else ends a line, so lines are those that end in \n alone.
    assert all(LINE.fullmatch(line) for line in text.split("\n")[2:-1])


@given(st.lists(st.floats(0, 1e5), max_size=50))
def test_buckets_are_cumulative_and_the_last_is_the_count(observed: list[float]) -> None:
    found = Histogram()
    for value in observed:
        found.observe(value)
    read = parsed(render([histograms("h", "Times.", [({}, found)])]))
    for bound in DURATIONS:
        below = sum(value <= bound for value in observed)
        assert read[series("h_bucket", le=bound_text(bound))] == below
    assert read[series("h_bucket", le="+Inf")] == read[series("h_count")] == len(observed)
    assert read[series("h_sum")] == pytest.approx(sum(observed))


@pytest.mark.parametrize(
    "families",
    [
        pytest.param([counter("a", "No suffix.", 1)], id="counter-without-total"),
        pytest.param([gauge("a_total", "It falls.", 1)], id="gauge-with-total"),
        pytest.param([gauge("a", "One.", 1), gauge("a", "Two.", 2)], id="family-twice"),
        pytest.param([gauges("a", "One.", [({"x": "1"}, 1), ({"x": "1"}, 2)])], id="series-twice"),
        pytest.param([gauge("a-b", "Hyphen.", 1)], id="name"),
        pytest.param([gauges("a", "One.", [({"__x": "1"}, 1)])], id="reserved-label"),
        pytest.param([Family("a", "untyped", "One.", (Sample("", {}, 1),))], id="kind"),
        pytest.param([Family("a", "gauge", "One.", (Sample("_sum", {}, 1),))], id="suffix"),
    ],
)
def test_what_a_reader_would_refuse_is_not_written(families: list[Family]) -> None:
    with pytest.raises(ValueError):
        render(families)


def test_a_family_without_series_is_left_out() -> None:
    assert render([counters("a_total", "None.", [])]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1, "0.1"), (1e300, "1e+300"), (float("inf"), "+Inf"), (float("-inf"), "-Inf")],
)
def test_numbers_are_spelled_as_the_format_has_them(value: float, text: str) -> None:
    assert render([gauge("g", "One.", value)]).endswith(f"\ng {text}\n")
