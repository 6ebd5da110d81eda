"""Laws of the stability score and of the overviews made from it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engines.space import DynamicSpaceEngine, OrbitalRoute, SpaceEvent, SpaceSector

share = st.floats(0, 1)
NAMES = ("Belt", "Lunar", "Mars", "Venus")


@st.composite
def sectors(draw: st.DrawFn, name: str) -> SpaceSector:
    routes = draw(st.lists(st.tuples(share, share), max_size=3))
    return SpaceSector(
        name,
        routes=tuple(
            OrbitalRoute(f"r{index}", "A", "B", 1, congestion, stability)
            for index, (congestion, stability) in enumerate(routes)
        ),
        hazard_index=draw(share),
        supply_level=draw(share),
        energy_output_gw=draw(st.floats(0, 1e6)),
    )


severities = st.sampled_from(["info", "advisory", "alert", "critical"])


@st.composite
def engines(draw: st.DrawFn) -> DynamicSpaceEngine:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    engine = DynamicSpaceEngine([draw(sectors(name)) for name in names])
    if names:
        event = st.builds(SpaceEvent, st.sampled_from(names), st.just("e"), share, severities)
        engine.ingest_events(draw(st.lists(event, max_size=8)))
    return engine


@given(engines(), st.integers(0, 9))
def test_the_average_is_the_plain_mean_of_the_scores(
    engine: DynamicSpaceEngine, horizon: int
) -> None:
    """Of the snapshots' scores, added in their order, to the last bit."""
    overview = engine.network_overview(horizon=horizon)
    scores = [snapshot.stability_score for snapshot in overview.snapshots.values()]
    assert overview.average_stability == (sum(scores) / len(scores) if scores else 1.0)
    assert list(overview.snapshots) == [sector.name for sector in engine.sectors]


@given(engines(), st.integers(0, 9))
def test_repeated_reads_give_equal_scores(engine: DynamicSpaceEngine, horizon: int) -> None:
    """The wall clock, which runs on in between, plays no part."""

    def scores() -> dict[str, float]:
        snapshots = engine.network_overview(horizon=horizon).snapshots
        return {name: snapshot.stability_score for name, snapshot in snapshots.items()}

    assert scores() == scores()


@given(engines(), st.integers(0, 9), st.integers(0, 6))
def test_interventions_come_worst_first(
    engine: DynamicSpaceEngine, horizon: int, limit: int
) -> None:
    """By score, then by name; *limit* of them; those below the threshold are a beginning of it."""
    ranked = engine.prioritise_interventions(limit=limit, horizon=horizon)
    everything = engine.network_overview(horizon=horizon)
    expected = sorted(
        everything.snapshots.values(), key=lambda s: (s.stability_score, s.sector_name)
    )
    names = [snapshot.sector_name for snapshot in expected]
    assert [snapshot.sector_name for snapshot in ranked] == names[:limit]
    calling = everything.sectors_requiring_attention
    assert list(calling) == names[: len(calling)]
    assert all(s.stability_score >= 0.5 for s in expected[len(calling) :])


@given(engines(), severities, share)
def test_an_event_never_makes_a_sector_calmer(
    engine: DynamicSpaceEngine, severity: Any, impact: float
) -> None:
    """Scores stay in 0…1; with all events in view one more can only lower its sector's."""
    for name in [sector.name for sector in engine.sectors]:
        before = engine.snapshot(name, horizon=0).stability_score
        engine.record_event(SpaceEvent(name, "one more", impact, severity))
        after = engine.snapshot(name, horizon=1).stability_score
        assert 0 <= after <= before <= 1


@given(share, severities)
def test_graver_events_weigh_more(impact: float, severity: str) -> None:
    """The same impact under a graver word never leaves a sector calmer."""
    order = ["info", "advisory", "alert", "critical"]
    scores = []
    for word in order[order.index(severity) :]:
        engine = DynamicSpaceEngine([{"name": "Belt"}])
        engine.record_event(SpaceEvent("Belt", "e", impact, word))
        scores.append(engine.snapshot("Belt").stability_score)
    assert scores == sorted(scores, reverse=True)


def test_older_events_fade() -> None:
    """What shook a sector counts less with each event since, not with time."""
    engine = DynamicSpaceEngine([{"name": "Belt"}])
    engine.record_event(SpaceEvent("Belt", "quake", 1.0, "critical"))
    scores = [engine.snapshot("Belt").stability_score]
    for _ in range(3):
        engine.record_event(SpaceEvent("Belt", "all clear", 0.0))
        scores.append(engine.snapshot("Belt").stability_score)
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] < engine.snapshot("Belt", horizon=0).stability_score
