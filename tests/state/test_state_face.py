"""What users' code relies on in `engines.state`: names, defaults and behaviour."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.state import (
    DynamicStateEngine,
    StateDefinition,
    StateNotFoundError,
    StateSignal,
    StateSnapshot,
)

REQUIRED = object()
NOW = datetime(2027, 1, 15, 10, tzinfo=UTC)


def shape(cls: type) -> dict[str, Any]:
    return {f.name: REQUIRED if f.default is MISSING else f.default for f in fields(cls)}


@pytest.fixture
def engine() -> DynamicStateEngine:
    return DynamicStateEngine(
        definitions=[StateDefinition("momentum", baseline=0.2)], clock=NOW.timestamp
    )


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            StateSignal,
            {
                "state": REQUIRED,
                "intensity": REQUIRED,
                "confidence": 0.5,
                "momentum": 0,
                "weight": 1,
                "timestamp": REQUIRED,  # made at the moment, see the test below
                "tags": (),
                "metadata": None,
            },
        ),
        (
            StateDefinition,
            {
                "name": REQUIRED,
                "description": "",
                "baseline": 0,
                "floor": -1,
                "ceiling": 1,
                "warmup": 3,
            },
        ),
        (
            StateSnapshot,
            dict.fromkeys(
                (
                    "state",
                    "value",
                    "change",
                    "trend",
                    "baseline",
                    "ready",
                    "signals",
                    "tags",
                    "summary",
                    "metadata",
                    "definition",
                ),
                REQUIRED,
            ),
        ),
    ],
)
def test_fields_stand_in_the_promised_order_with_the_promised_defaults(
    cls: type, expected: dict[str, Any]
) -> None:
    """Positional and keyword construction of earlier code goes on working."""
    assert list(shape(cls).items()) == list(expected.items())


def test_a_signal_without_a_time_is_of_now(engine: DynamicStateEngine) -> None:
    """A signal takes the moment of its construction; a mapping that of the engine's clock."""
    before = datetime.now(UTC)
    assert before <= StateSignal("m", 0.1).timestamp <= datetime.now(UTC)
    assert engine.capture({"state": "momentum", "intensity": 0.1}).timestamp == NOW


def test_a_state_without_signals_rests_at_its_baseline(engine: DynamicStateEngine) -> None:
    """The summary reads as promised."""
    snapshot = engine.snapshot("momentum")
    assert (snapshot.value, snapshot.change, snapshot.trend) == (0.2, 0, 0)
    assert snapshot.summary == (
        "Momentum state is stable and holding at 0.20 (baseline 0.20, warming)."
    )


@pytest.mark.parametrize(
    ("signals", "summary"),
    [
        ([(0.9, 0.8)], "Mood state is rising and up to 0.30 (baseline 0.00, warming)."),
        ([(-0.9, -0.8)], "Mood state is falling and down to -0.30 (baseline 0.00, warming)."),
        ([(0.0, 0.0)] * 3, "Mood state is stable and holding at 0.00 (baseline 0.00, ready)."),
        ([(-0.001, 0)], "Mood state is stable and holding at 0.00 (baseline 0.00, warming)."),
        ([(0.0, 0.9)], "Mood state is rising and holding at 0.00 (baseline 0.00, warming)."),
    ],
)
def test_the_summary_says_where_the_state_is_and_heads(
    signals: list[tuple[float, float]], summary: str
) -> None:
    """Heading from the trend, position from the change, no minus before a zero."""
    engine = DynamicStateEngine()
    engine.extend(StateSignal("mood", i, momentum=m) for i, m in signals)
    assert engine.snapshot("mood").summary == summary


def test_keys_ignore_case_and_the_display_name_is_kept() -> None:
    """The first spelling is shown, any spelling finds it."""
    engine = DynamicStateEngine()
    engine.capture(StateSignal("Market Mood", 0.5))
    engine.capture({"state": "MARKET MOOD", "intensity": 0.5})
    snapshot = engine.snapshot("market mood")
    assert (snapshot.state, snapshot.metadata["signal_count"]) == ("Market Mood", 2)
    assert list(engine.overview()) == ["market mood"]
    assert engine.overview()["market mood"] == snapshot
    assert {signal.state for signal in snapshot.signals} == {"Market Mood"}


def test_tags_come_by_frequency_then_name(engine: DynamicStateEngine) -> None:
    """Over the signals that are remembered, in lower case."""
    for tags in (("Risk", "alpha"), ("risk", "zeta"), ("beta", "zeta", "risk")):
        engine.capture(StateSignal("momentum", 0.1, tags=tags))
    assert engine.snapshot("momentum").tags == ("risk", "zeta", "alpha", "beta")


def test_a_state_is_ready_after_its_warmup(engine: DynamicStateEngine) -> None:
    """All signals ever taken in count, also those forgotten."""
    short = DynamicStateEngine(history=1, definitions=[{"name": "m", "warmup": 3}])
    ready = []
    for _ in range(4):
        short.capture(StateSignal("m", 0.1))
        ready.append(short.snapshot("m").ready)
    assert ready == [False, False, True, True]
    assert short.snapshot("m").metadata["signal_count"] == 4
    assert len(short.snapshot("m").signals) == 1


def test_registering_again_changes_the_definition_and_keeps_the_signals(
    engine: DynamicStateEngine,
) -> None:
    """The name is the identity; the newer definition counts."""
    engine.capture(StateSignal("momentum", 1.0))
    engine.register(StateDefinition("Momentum", baseline=-0.5))
    snapshot = engine.snapshot("momentum")
    assert (snapshot.state, snapshot.baseline, len(snapshot.signals)) == ("Momentum", -0.5, 1)


def test_the_overview_has_every_state_by_name() -> None:
    """Keys are in the order of the names, values are the snapshots."""
    engine = DynamicStateEngine(definitions=[{"name": "b"}, {"name": "A"}])
    assert engine.overview() == {"a": engine.snapshot("A"), "b": engine.snapshot("B")}
    assert list(engine.overview()) == ["a", "b"]


def test_a_snapshot_becomes_plain_data(engine: DynamicStateEngine) -> None:
    """`as_dict` has numbers, text and RFC 3339 times only."""
    engine.capture({"state": "momentum", "intensity": 0.2, "tags": ["x"]})
    data = engine.snapshot("momentum").as_dict()
    assert data["signals"] == [
        {
            "intensity": 0.2,
            "confidence": 0.5,
            "momentum": 0.0,
            "weight": 1.0,
            "timestamp": "2027-01-15T10:00:00Z",
            "tags": ["x"],
        }
    ]
    assert (data["state"], data["tags"], data["metadata"]) == (
        "momentum",
        ["x"],
        {"signal_count": 1},
    )


def test_an_unknown_state_is_a_key_error_that_suggests_a_name(engine: DynamicStateEngine) -> None:
    """The message has the name that was asked for and the one that was meant."""
    with pytest.raises(StateNotFoundError, match=r"'momentun' \(did you mean 'momentum'\?\)") as e:
        engine.snapshot("momentun")
    assert isinstance(e.value, KeyError)


signals = st.lists(
    st.builds(
        StateSignal,
        st.just("m"),
        st.floats(-1, 1),
        st.floats(0, 1),
        st.floats(-1, 1),
        st.floats(0, 1e6),
    ),
    max_size=8,
)


@given(signals, st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_the_value_lies_between_floor_and_ceiling_and_within_what_was_said(
    given_signals: list[StateSignal], a: float, b: float, baseline: float
) -> None:
    """A weighted mean never leaves the range of baseline and signals, nor the state's limits."""
    floor, ceiling = sorted((a, b))
    engine = DynamicStateEngine(definitions=[StateDefinition("m", "", baseline, floor, ceiling)])
    engine.extend(given_signals)
    snapshot = engine.snapshot("m")
    said = [snapshot.baseline, *(signal.intensity for signal in given_signals)]
    low, high = (min(max(end, floor), ceiling) for end in (min(said), max(said)))
    assert floor <= snapshot.value <= ceiling
    assert low - 1e-9 <= snapshot.value <= high + 1e-9
    assert abs(snapshot.trend) <= 1.5


@given(signals)
def test_change_is_what_the_last_signal_moved(given_signals: list[StateSignal]) -> None:
    """The value before plus the change is the value after."""
    engine = DynamicStateEngine(definitions=[{"name": "m"}])
    for signal in given_signals:
        before = engine.snapshot("m").value
        engine.capture(signal)
        after = engine.snapshot("m")
        assert after.value - before == after.change
