"""States refuse what cannot be, say what was wrong, and record nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.state import DynamicStateEngine, StateDefinition, StateSignal

NAN, INF = float("nan"), float("inf")
GOOD = {"state": "mood", "intensity": 0.5}


@pytest.fixture(params=["durable", "in memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> DynamicStateEngine:
    durable = request.param == "durable"
    engine = DynamicStateEngine(journal=Journal(tmp_path / "states.jsonl") if durable else None)
    engine.capture(GOOD)
    return engine


def state(engine: DynamicStateEngine) -> Any:
    file = engine.journal.path.read_bytes() if isinstance(engine.journal, Journal) else b""
    return file, engine.overview()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StateSignal("", 0), "a state's name must not be empty, found ''"),
        (lambda: StateSignal(None, 0), "found None"),
        (lambda: StateSignal("m", NAN), "intensity must be finite, found nan"),
        (lambda: StateSignal("m", "high"), "intensity must be a number, found 'high'"),
        (lambda: StateSignal("m", 0, confidence=INF), "confidence must be finite"),
        (lambda: StateSignal("m", 0, momentum=NAN), "momentum must be finite"),
        (lambda: StateSignal("m", 0, weight=-0.5), "weight must be at least 0, found -0.5"),
        (lambda: StateSignal("m", 0, weight=10**400), "weight is too large"),
        (lambda: StateSignal("m", 0, timestamp=None), "datetime, found None"),
        (lambda: StateSignal("m", 0, tags="calm"), "tags must be a list of words"),
        (lambda: StateSignal("m", 0, metadata=3), "metadata must be a mapping, found 3"),
        (lambda: StateDefinition(" "), "a state's name must not be empty"),
        (lambda: StateDefinition("m", floor=1, ceiling=-1), "floor 1 lies above ceiling -1"),
        (lambda: StateDefinition("m", floor=-INF), "floor must be finite"),
        (lambda: StateDefinition("m", baseline=NAN), "baseline must be finite"),
        (lambda: StateDefinition("m", warmup=-1), "warmup must be at least 0, found -1"),
        (lambda: StateDefinition("m", warmup=1.5), "warmup must be a whole number, found 1.5"),
        (lambda: DynamicStateEngine(history=0), "history must be at least 1, found 0"),
        (lambda: DynamicStateEngine(decay=1), "decay must be at least 0 and below 1, found 1"),
        (lambda: DynamicStateEngine(decay=-0.1), "found -0.1"),
        (lambda: DynamicStateEngine(decay=NAN), "decay must be finite"),
    ],
)
def test_a_wrong_value_is_a_value_error_that_names_it(
    make: Callable[[], Any], message: str
) -> None:
    """The error is an InvalidInput, and so a ValueError."""
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"intensity": -7}, {"intensity": -1.0}),
        ({"intensity": 7}, {"intensity": 1.0}),
        ({"confidence": 7}, {"confidence": 1.0}),
        ({"momentum": -7}, {"momentum": -1.0}),
    ],
)
def test_a_number_beyond_its_scale_is_clamped_to_it(
    given: dict[str, Any], taken: dict[str, float]
) -> None:
    """Earlier code relies on it."""
    signal = StateSignal(**{**GOOD, **given})
    assert {name: getattr(signal, name) for name in taken} == taken


def test_the_baseline_lies_between_floor_and_ceiling() -> None:
    """A baseline outside is moved to the nearer limit."""
    assert StateDefinition("m", baseline=5, floor=0, ceiling=2).baseline == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (lambda e: e.capture({**GOOD, "intensity": NAN}), "intensity must be finite"),
        (lambda e: e.capture({**GOOD, "mood": 1}), "unexpected keyword argument 'mood'"),
        (lambda e: e.capture({"state": "new"}), "missing 1 required"),
        (lambda e: e.capture("calm"), "must be a StateSignal or a mapping, found 'calm'"),
        (lambda e: e.capture(StateSignal("mood", 0, metadata={"x": INF})), "inf is not a finite"),
        (lambda e: e.extend([GOOD, {**GOOD, "weight": -1}]), "weight must be at least 0"),
        (lambda e: e.extend([{**GOOD, "state": "new"}, None]), "found None"),
        (lambda e: e.register({"name": "new", "limit": 1}), "keyword argument 'limit'"),
        (lambda e: e.register(7), "found 7"),
        (lambda e: e.snapshot("anger"), "no state named 'anger'"),
        (lambda e: e.snapshot(" "), "a state's name must not be empty"),
    ],
)
def test_a_wrong_command_changes_nothing(
    engine: DynamicStateEngine, command: Callable[[DynamicStateEngine], Any], message: str
) -> None:
    """Neither the state nor a byte of the journal, with and without one."""
    before = state(engine)
    with pytest.raises(InvalidInput, match=message):
        command(engine)
    assert state(engine) == before
