"""Positions become entries and exits: whatever the order they come in, however often."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary, ZonePolygon
from engines.zone import intake as intake_module
from engines.zone.intake import Tracked
from engines.zone.tracking import TrackingRules

NOW = 1_800_000_000.0
ZONES = [
    Zone("Yard", ZoneBoundary(0, 10, 0, 10), 5),
    Zone("Gate", ZoneBoundary(8, 12, 4, 6), 5),
    Zone("Lawn", ZonePolygon(((((2, 2), (8, 2), (5, 8)),),)), 5),
]
Fix = tuple[str, float, tuple[float, ...]]
fixes = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 40).map(float),
        st.tuples(st.integers(-2, 14), st.integers(-2, 12)),
    ),
    max_size=40,
    unique_by=lambda fix: fix[:2],
)
rules = st.builds(
    TrackingRules,
    margin=st.sampled_from([0.0, 1.0, 2.5]),
    enter_after=st.sampled_from([0.0, 3.0]),
    exit_after=st.sampled_from([0.0, 4.0]),
    dwell=st.sampled_from([None, 5.0]),
    silence=st.sampled_from([None, 7.0]),
)


def registry(path: Path | None = None) -> DynamicZoneRegistry:
    journal = Journal(path, clock=lambda: NOW) if path else None
    made = DynamicZoneRegistry(journal=journal, clock=lambda: NOW, history=500)
    made.register_zones(ZONES)
    return made


def track(to: DynamicZoneRegistry, stream: list[Fix], **more: Any) -> Tracked:
    columns = zip(*stream, strict=True) if stream else ((), (), ())
    objects, at, points = map(list, columns)
    return to.track(objects, at, points, **more)


def seen(of: DynamicZoneRegistry) -> Any:
    return of.snapshot(), {zone.name: of.occupants(zone.name) for zone in ZONES}


def in_zone(name: str, where: tuple[float, ...]) -> bool:
    return name in registry().around([where])[0]


@settings(max_examples=18, deadline=None)
@given(fixes)
def test_plain_moves_are_what_changes_from_position_to_position(stream: list[Fix]) -> None:
    """Held against the plainest loop."""
    stream = sorted(stream, key=lambda fix: fix[1])
    expected = []
    there: set[tuple[str, str]] = set()
    places = registry().around([where for *_, where in stream])
    for (who, at, _), zones in zip(stream, places, strict=True):
        for zone in ("Yard", "Gate", "Lawn"):
            if ((who, zone) in there) != (zone in zones):
                expected.append((at, who, "enter" if zone in zones else "exit", zone))
                there ^= {(who, zone)}
    found = track(registry(), stream).moves
    assert sorted((m.at, m.object, m.kind.value, m.zone) for m in found) == sorted(expected)


@settings(max_examples=24, deadline=None)
@given(fixes, rules, st.randoms(use_true_random=False), st.integers(0, 30), st.integers(1, 9))
def test_what_is_shuffled_within_the_lateness_is_as_if_sorted(
    stream: list[Fix], of: TrackingRules, chance: Any, lateness: int, size: int
) -> None:
    """In batches of any size, with some positions sent twice; the moves and the state are equal."""
    by_time = sorted(stream, key=lambda fix: (fix[1], fix[0]))
    plain, mixed = registry(), registry()
    sorted_moves = track(plain, by_time, rules=of, finish=True).moves
    late = TrackingRules(
        of.margin, of.enter_after, of.exit_after, of.dwell, float(lateness), of.silence
    )
    delayed = sorted(by_time, key=lambda fix: fix[1] + chance.uniform(0, lateness))
    moves = []
    twins = 0
    for start in range(0, len(delayed), size):
        batch = delayed[start : start + size]
        again = [fix for fix in batch if chance.random() < 0.3]
        # What is judged already counts as a twin only of the object's last position.
        done = track(mixed, [*batch, *again], rules=late)
        assert done.accepted == len(batch)
        assert done.duplicates == len(again)
        assert not done.late
        twins += done.duplicates
        moves += done.moves
    moves += track(mixed, [], rules=late, finish=True).moves
    order = Counter((m.at, m.object, m.kind, m.zone) for m in sorted_moves)
    assert Counter((m.at, m.object, m.kind, m.zone) for m in moves) == order
    assert {n: s.occupancy for n, s in mixed.snapshot().items()} == {
        n: s.occupancy for n, s in plain.snapshot().items()
    }
    assert seen(mixed)[1] == seen(plain)[1]


@settings(max_examples=18, deadline=None)
@given(fixes, rules)
def test_entries_less_exits_are_the_occupancy_at_every_prefix(
    stream: list[Fix], of: TrackingRules
) -> None:
    """One position at a time; who is counted in is who entered and did not leave."""
    yard = registry()
    inside: set[tuple[str, str]] = set()
    for fix in sorted(stream, key=lambda fix: fix[1]):
        for move in track(yard, [fix], rules=of).moves:
            pair = (move.object, move.zone)
            if move.kind == "enter":
                assert pair not in inside
                inside.add(pair)
            elif move.kind in {"exit", "silent"}:
                inside.remove(pair)
            else:
                assert pair in inside
        for name, snapshot in yard.snapshot().items():
            here = {who for who, zone in inside if zone == name}
            assert snapshot.occupancy == len(here)
            assert yard.occupants(name) == tuple(sorted(here))


@settings(max_examples=15, deadline=None)
@given(st.lists(fixes, max_size=3), rules, st.integers(1, 7))
def test_the_journal_folds_to_the_same_state(
    batches: list[list[Fix]], of: TrackingRules, at_once: int
) -> None:
    """Another process sees what this one does, also what waits; a snapshot is the same."""
    usual, intake_module.AT_ONCE = intake_module.AT_ONCE, at_once
    late = TrackingRules(of.margin, of.enter_after, of.exit_after, of.dwell, 9.0, of.silence)
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "zones.jsonl"
            live = registry(path)
            for stream in batches:
                track(live, stream, rules=late)
                other = DynamicZoneRegistry(
                    journal=Journal(path, clock=lambda: NOW), clock=lambda: NOW, history=500
                )
                assert seen(other) == seen(live)
                assert vars(other)["_stays"] == vars(live)["_stays"]
                live.save_snapshot()
                assert live.check_snapshot() is None
            assert verify(path).ok
    finally:
        intake_module.AT_ONCE = usual


def walk(*where: tuple[float, ...], step: float = 1.0) -> list[Fix]:
    return [("a", number * step, place) for number, place in enumerate(where)]


def told(done: Tracked, zone: str = "Yard") -> list[tuple[str, float]]:
    return [(move.kind.value, move.at) for move in done.moves if move.zone == zone]


def test_jitter_around_an_edge_is_one_entry() -> None:
    """With a margin above its reach; without one it flaps."""
    jitter = walk(*((x, 1) for x in (11, 10.4, 9.6, 10.4, 9.7, 10.3, 9.8, 10.2, 13)))
    assert told(track(registry(), jitter, rules=TrackingRules(margin=0.5))) == [
        ("enter", 2.0),
        ("exit", 8.0),
    ]
    assert len(told(track(registry(), jitter))) == 6


def test_times_on_the_other_side_are_waited_for() -> None:
    """A short visit is none, a short absence neither."""
    of = TrackingRules(enter_after=2, exit_after=2, dwell=4)
    visit = walk((5, 1), (20, 1), (5, 1), (5, 1), (5, 1), (20, 1), (5, 1), (5, 1), (5, 1), (20, 1))
    done = told(track(registry(), [*visit, ("a", 10.0, (20, 1)), ("a", 11.0, (20, 1))], rules=of))
    assert done == [("enter", 4.0), ("dwell", 8.0), ("exit", 11.0)]


def test_who_is_silent_leaves() -> None:
    """At the time that silence became too long, told when time has gone on; others see it too."""
    of = TrackingRules(silence=10)
    yard = registry()
    track(yard, [("a", 0.0, (1, 1)), ("b", 0.0, (1, 1))], rules=of)
    done = track(yard, [("b", 9.0, (1, 1)), ("b", 18.0, (1, 1))], rules=of)
    assert [(m.object, m.kind.value, m.at) for m in done.moves] == [("a", "silent", 10.0)]
    assert yard.occupants("Yard") == ("b",)
    back = track(yard, [("b", 86_418.0, (1, 1))], rules=of)
    assert told(back) == [("silent", 28.0), ("enter", 86_418.0)]


def test_late_positions_are_counted_and_change_nothing() -> None:
    """Behind what was judged of the same object; of another they are in order."""
    yard = registry()
    track(yard, [("a", 10.0, (1, 1))])
    late = track(yard, [("a", 5.0, (50, 50)), ("b", 5.0, (1, 1)), ("a", 10.0, (50, 50))])
    assert (late.accepted, late.late, late.duplicates) == (1, 1, 1)
    assert yard.occupants("Yard") == ("a", "b")


def test_a_zone_that_is_removed_forgets_who_was_in_it() -> None:
    """And one that comes back begins empty."""
    yard = registry()
    track(yard, [("a", 1.0, (1, 1))])
    yard.remove_zone("Yard")
    yard.register_zone(ZONES[0])
    assert yard.occupants("Yard") == ()
    assert told(track(yard, [("a", 2.0, (1, 1))])) == [("enter", 2.0)]


def test_names_are_cleaned() -> None:
    """Space around a name makes no other object."""
    yard = registry()
    done = yard.track([" a", "a", "a "], [1.0, 1.0, 2.0], [(1, 1), (1, 1), (50, 50)])
    assert (done.accepted, done.duplicates) == (2, 1)
    assert told(done) == [("enter", 1.0), ("exit", 2.0)]


def test_levels_separate_storeys() -> None:
    """Whoever takes the stairs changes zones; a margin counts upwards too."""
    floors = [Zone(f"L{n}", ZoneBoundary(0, 9, 0, 9, 3 * n, 3 * n + 3)) for n in (0, 1)]
    climb: list[Fix] = [("a", 1.0, (1, 1, 0)), ("a", 2.0, (1, 1, 3)), ("a", 3.0, (1, 1, 7))]
    assert [(m.kind.value, m.zone) for m in track(DynamicZoneRegistry(floors), climb).moves] == [
        *(("enter", "L0"), ("exit", "L0"), ("enter", "L1"), ("exit", "L1"))
    ]
    house = DynamicZoneRegistry(floors)
    done = track(house, climb, rules=TrackingRules(margin=2))
    assert [(m.at, m.kind.value, m.zone) for m in done.moves] == [
        (1.0, "enter", "L0"),
        (2.0, "enter", "L1"),
        (3.0, "exit", "L0"),
    ]


def test_a_margin_on_the_globe_is_in_metres() -> None:
    """A degree of longitude is 55.8 km at 60° N, across the antimeridian too."""
    fiji = Zone("North", ZonePolygon.around(179, 59, -179, 61))
    globe = DynamicZoneRegistry([fiji])
    path: list[Fix] = [("a", 1.0, (180, 60)), ("a", 2.0, (-178.5, 60)), ("a", 3.0, (-178, 60))]
    done = track(globe, path, rules=TrackingRules(margin=40_000))
    assert [(m.at, m.kind.value) for m in done.moves] == [(1.0, "enter"), (3.0, "exit")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["a"], [1.0], [(1, 1), (2, 2)]), "as many objects as times and points"),
        (([" "], [1.0], [(1, 1)]), "an object's name must not be empty"),
        (([7], [1.0], [(1, 1)]), "found 7"),
        ((["a"], [float("nan")], [(1, 1)]), "time 0 is none"),
        ((["a"], [1e300], [(1, 1)]), "time 0 is none"),
        ((["a"], ["noon"], [(1, 1)]), "seconds since the epoch"),
        ((["a"], [1.0], [(float("nan"), 1)]), "point 0 must be finite"),
    ],
)
def test_wrong_positions_record_nothing(columns: Any, message: str) -> None:
    """All or none."""
    yard = registry()
    with pytest.raises(InvalidInput, match=message):
        yard.track(*columns)
    assert yard.occupants("Yard") == ()


def test_rules_below_zero_are_refused() -> None:
    """And what is not finite."""
    with pytest.raises(InvalidInput, match="margin must be at least 0"):
        TrackingRules(margin=-1)
