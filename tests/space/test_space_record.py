"""The space engine is a fold over its journal: another object over the same file is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.space import DynamicSpaceEngine, SpaceEvent

NOW = 1_800_000_000.25
share = st.floats(0, 1)
name = st.sampled_from(["Belt", "Lunar", "Mars"])


def opened(path: Path) -> DynamicSpaceEngine:
    """The engine as a process of its own would see it; it remembers three events per sector."""
    journal = Journal(path, clock=lambda: NOW)
    return DynamicSpaceEngine(max_events=3, journal=journal, clock=lambda: NOW)


def seen(engine: DynamicSpaceEngine) -> Any:
    everything = engine.network_overview(horizon=9)
    return engine.sectors, everything, engine.intervention_threshold, engine.last_batch


Command = Callable[[DynamicSpaceEngine], object]
routes = st.lists(
    st.builds(
        lambda identifier, congestion, stability: {
            "identifier": identifier,
            "origin": "A",
            "destination": "B",
            "delta_v_kms": 1.5,
            "congestion": congestion,
            "stability": stability,
        },
        st.sampled_from("abc"),
        share,
        share,
    ),
    max_size=3,
)
bodies = st.lists(
    st.builds(
        lambda kind, mass, tags: {
            "name": kind,
            "kind": kind,
            "mass_kg": mass,
            "velocity_kms": -1.0,
            "tags": tags,
        },
        st.sampled_from(["moon", "comet"]),
        st.floats(0, 1e300),
        st.lists(st.text(min_size=1, max_size=3), max_size=2),
    ),
    max_size=2,
)
upserts = st.builds(
    lambda n, r, b, hazard: (
        lambda e: e.upsert_sector(
            {
                "name": n,
                "routes": r,
                "bodies": b,
                "hazard_index": hazard,
                "metadata": {"r": [1, 2.5]},
            }
        )
    ),
    name,
    routes,
    bodies,
    share,
)
times = st.none() | st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001  the strategy adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))]),
)
events = st.builds(
    lambda n, impact, severity, moment: (
        lambda e: e.record_event(
            SpaceEvent(n, "e", impact, severity, moment, {"moment": str(moment)})
        )
    ),
    name,
    st.floats(),
    st.sampled_from(["info", "Critical", "grave"]),
    times,
)
stabilised = st.builds(
    lambda n, threshold, damping: (
        lambda e: e.stabilise(n, congestion_threshold=threshold, damping_factor=damping)
    ),
    name,
    share,
    share,
)
relieved = st.builds(lambda n: lambda e: e.relieve(n), name)
thresholds = st.builds(lambda v: lambda e: e.configure_intervention_threshold(v), st.floats())
batches = st.builds(lambda n: lambda e: e.close_batch(f"cycle-{n}"), st.integers(0, 3))
commands = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(upserts, upserts, events, events, stabilised, relieved, thresholds, batches),
    ),
    max_size=12,
)


@settings(max_examples=18)
@given(commands)
def test_any_history_folds_anew_to_the_live_state(script: list[tuple[bool, Command]]) -> None:
    """Two processes take turns; both and a third that comes later end up with one state."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "sectors.jsonl"
        pair = opened(path), opened(path)
        pair[0].upsert_sector({"name": "Belt"})
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
    """The journal can be read alone: each command is one event with its values."""
    engine = opened(tmp_path / "sectors.jsonl")
    engine.upsert_sector({"name": "Belt"})
    engine.upsert_sector({"name": "Belt"})  # changes nothing
    engine.record_event(SpaceEvent("Mars", "flare", 0.5, "alert"))
    engine.stabilise("Belt")  # nothing is crowded
    engine.configure_intervention_threshold(0.7)
    lines = [event["event_type"] for event in Journal(tmp_path / "sectors.jsonl").events()]
    assert lines == [
        "journal_created",
        "sector_upserted",
        "sector_upserted",  # the placeholder
        "sector_event",
        "threshold_configured",
    ]
    assert opened(tmp_path / "sectors.jsonl").intervention_threshold == 0.7
