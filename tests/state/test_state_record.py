"""The state engine is a fold over its journal: another object over the same file is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.state import DynamicStateEngine, StateDefinition, StateSignal, StateSnapshot

NOW = 1_800_000_000.25
name = st.sampled_from(["mood", "Mood", "Drive"])


def opened(path: Path) -> DynamicStateEngine:
    """The engine as a process of its own would see it; it remembers three signals per state."""
    return DynamicStateEngine(
        history=3, journal=Journal(path, clock=lambda: NOW), clock=lambda: NOW
    )


def seen(engine: DynamicStateEngine) -> dict[str, StateSnapshot]:
    return engine.overview()


Command = Callable[[DynamicStateEngine], object]
captures = st.builds(
    lambda n, intensity, weight, moment, tags: (
        lambda e: e.capture(
            StateSignal(
                n, intensity, weight=weight, timestamp=moment, tags=tags, metadata={"w": [n]}
            )
        )
    ),
    name,
    st.floats(-2, 2) | st.just(float("nan")),
    st.floats(-1, 9),
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001  taken for UTC
    st.lists(st.sampled_from("abc")).map(tuple),
)
definitions = st.builds(
    lambda n, base, low, warmup: (
        lambda e: e.register(StateDefinition(n, "d", base, low, 1, warmup))
    ),
    name,
    st.floats(-1, 1),
    st.floats(-2, 2),
    st.integers(-1, 3),
)
commands = st.lists(st.tuples(st.booleans(), captures | captures | definitions), max_size=12)


@settings(max_examples=18)
@given(commands)
def test_any_history_folds_anew_to_the_live_state(script: list[tuple[bool, Command]]) -> None:
    """Two processes take turns; both and a third that comes later end up with one state."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "states.jsonl"
        pair = opened(path), opened(path)
        pair[0].register({"name": "mood", "baseline": 0.1})
        for second, command in script:
            try:
                command(pair[second])
            except InvalidInput:
                continue  # refused; must leave no trace, as the fold below shows
            assert seen(pair[second]) == seen(opened(path))
        for engine in pair:
            engine.refresh()
            assert seen(engine) == seen(opened(path))
        assert verify(path).ok


def test_the_record_says_what_was_commanded(tmp_path: Path) -> None:
    """The journal can be read alone: definitions and signals with their values."""
    engine = opened(tmp_path / "states.jsonl")
    engine.register({"name": "Mood"})
    engine.register({"name": "Mood"})  # changes nothing
    engine.capture({"state": "DRIVE", "intensity": 0.5})
    lines = [
        (event["event_type"], event.get("name"), event.get("state"), event.get("intensity"))
        for event in Journal(tmp_path / "states.jsonl").events()
    ]
    assert lines == [
        ("journal_created", None, None, None),
        ("state_registered", "Mood", None, None),
        ("state_registered", "DRIVE", None, None),
        ("signal_captured", None, "drive", 0.5),
    ]
