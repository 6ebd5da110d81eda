"""The registry is a fold over its journal: another object over the same file is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary

NOW = 1_800_000_000.25
NAMES = ("Hub", "Pier", "Ward")


def opened(path: Path) -> DynamicZoneRegistry:
    """The registry as a process of its own would see it; it remembers three events."""
    return DynamicZoneRegistry(
        history=3, journal=Journal(path, clock=lambda: NOW), clock=lambda: NOW
    )


def seen(registry: DynamicZoneRegistry) -> Any:
    return registry.list_zones(), registry.snapshot(), registry.last_batch


Command = Callable[[DynamicZoneRegistry], object]
name = st.sampled_from(NAMES)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
metadata = st.none() | st.dictionaries(st.sampled_from(["a", "b"]), json_values, max_size=2)
registrations = st.builds(
    lambda n, size, capacity, meta: (
        lambda r: r.register_zone(Zone(n, ZoneBoundary(0, size, 0, 1), capacity, metadata=meta))
    ),
    name,
    st.floats(0, 9),
    st.integers(0, 3),
    metadata,
)
events = st.builds(
    lambda n, kind, change, value, meta: (
        lambda r: r.record_event(n, kind=kind, change=change, value=value, metadata=meta)
    ),
    name,
    st.sampled_from(["enter", "exit", "sample", "alert", "fall"]),
    st.none() | st.integers(-3, 3),
    st.none() | st.floats(),
    metadata,
)
removals = st.builds(lambda n: lambda r: r.remove_zone(n), name)
batches = st.builds(lambda n: lambda r: r.close_batch(f"cycle-{n}"), st.integers(0, 3))
commands = st.lists(
    st.tuples(st.booleans(), st.one_of(registrations, events, events, removals, batches)),
    max_size=12,
)


@settings(max_examples=18)
@given(commands)
def test_any_history_folds_anew_to_the_live_state(script: list[tuple[bool, Command]]) -> None:
    """Two processes take turns; both and a third that comes later end up with one state."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "zones.jsonl"
        pair = opened(path), opened(path)
        pair[0].register_zone(Zone("Hub", ZoneBoundary(0, 1, 0, 1)))
        for second, command in script:
            try:
                command(pair[second])
            except InvalidInput:
                continue  # refused; must leave no trace, as the fold below shows
            lively = seen(pair[second])
            assert lively == seen(opened(path))
        for registry in pair:
            registry.refresh()
            assert seen(registry) == seen(opened(path))
        assert verify(path).ok


def test_the_record_says_what_was_commanded(tmp_path: Path) -> None:
    """The journal can be read alone: each command is one event with its values."""
    registry = opened(tmp_path / "zones.jsonl")
    registry.register_zone({"name": "Hub", "boundary": ZoneBoundary(0, 1, 0, 1), "tags": ("a",)})
    registry.register_zone({"name": "Hub", "boundary": ZoneBoundary(0, 1, 0, 1), "tags": ("A",)})
    registry.record_event("Hub", kind="alert", change=2, value=0.5, note="smoke")
    registry.remove_zone("Hub")
    lines = [
        {key: value for key, value in event.items() if key in ("event_type", "name", "zone")}
        for event in Journal(tmp_path / "zones.jsonl").events()
    ]
    assert lines == [
        {"event_type": "journal_created"},
        {"event_type": "zone_registered", "name": "Hub"},  # the second changed nothing
        {"event_type": "zone_event", "zone": "Hub"},
        {"event_type": "zone_removed", "zone": "Hub"},
    ]
    assert registry.verify_hash_chain()


def test_a_registry_in_memory_writes_nothing(tmp_path: Path) -> None:
    """Without a journal the registry works the same and its chain has nothing to break."""
    registry = DynamicZoneRegistry([Zone("Hub", ZoneBoundary(0, 1, 0, 1))])
    registry.record_event("Hub", kind="enter")
    assert registry.snapshot("Hub").occupancy == 1
    assert registry.verify_hash_chain()
    assert list(tmp_path.iterdir()) == []
