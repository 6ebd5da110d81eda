"""Sectors refuse what cannot be, say what was wrong, and record nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.space import CelestialBody, DynamicSpaceEngine, OrbitalRoute, SpaceEvent, SpaceSector

NAN, INF = float("nan"), float("inf")
BODY = {"name": "Moon", "kind": "moon", "mass_kg": 1.0, "velocity_kms": 1.0}
ROUTE = {"identifier": "r", "origin": "E", "destination": "M", "delta_v_kms": 1.0}
EVENT = {"sector_name": "Belt", "description": "dust", "impact_score": 0.5}
_MODELS = {CelestialBody: BODY, OrbitalRoute: ROUTE, SpaceSector: {"name": "S"}, SpaceEvent: EVENT}


@pytest.fixture(params=["durable", "in memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> DynamicSpaceEngine:
    durable = request.param == "durable"
    journal = Journal(tmp_path / "sectors.jsonl") if durable else None
    engine = DynamicSpaceEngine(journal=journal, clock=lambda: 1_800_000_000.0)
    engine.upsert_sector({"name": "Belt", "routes": [{**ROUTE, "congestion": 0.9}]})
    return engine


def state(engine: DynamicSpaceEngine) -> Any:
    file = engine.journal.path.read_bytes() if isinstance(engine.journal, Journal) else b""
    return file, engine.sectors, engine.export_state(), engine.intervention_threshold


@pytest.mark.parametrize(
    ("cls", "wrong", "message"),
    [
        (CelestialBody, {"name": " "}, "a body's name must not be empty, found ' '"),
        (CelestialBody, {"kind": "sun"}, "'sun' is none of planet, moon"),
        (CelestialBody, {"kind": None}, "None is none of planet"),
        (CelestialBody, {"mass_kg": -1}, "mass_kg must be at least 0, found -1"),
        (CelestialBody, {"mass_kg": NAN}, "mass_kg must be finite, found nan"),
        (CelestialBody, {"velocity_kms": INF}, "velocity_kms must be finite, found inf"),
        (CelestialBody, {"resource_index": "full"}, "resource_index must be a number"),
        (CelestialBody, {"habitability": NAN}, "habitability must be finite"),
        (CelestialBody, {"tags": "icy"}, "tags must be a list of words"),
        (OrbitalRoute, {"identifier": ""}, "a route's identifier must not be empty"),
        (OrbitalRoute, {"origin": None}, "a route's origin must not be empty, found None"),
        (OrbitalRoute, {"destination": ""}, "a route's destination must not be empty"),
        (OrbitalRoute, {"delta_v_kms": -0.1}, "delta_v_kms must be at least 0, found -0.1"),
        (OrbitalRoute, {"congestion": NAN}, "congestion must be finite"),
        (OrbitalRoute, {"stability": True}, "stability must be a number, found True"),
        (SpaceSector, {"name": ""}, "a sector's name must not be empty"),
        (SpaceSector, {"hazard_index": NAN}, "hazard_index must be finite"),
        (SpaceSector, {"supply_level": -INF}, "supply_level must be finite"),
        (SpaceSector, {"energy_output_gw": -1}, "energy_output_gw must be at least 0"),
        (SpaceSector, {"energy_output_gw": 10**400}, "energy_output_gw is too large"),
        (SpaceSector, {"metadata": "x"}, "metadata must be a mapping, found 'x'"),
        (SpaceSector, {"bodies": [BODY, BODY]}, "'S': two body entries named 'Moon'"),
        (SpaceSector, {"routes": [ROUTE, ROUTE]}, "'S': two route entries named 'r'"),
        (SpaceSector, {"bodies": [7]}, "'S': body must be a CelestialBody"),
        (SpaceSector, {"routes": [{"identifier": "r"}]}, "'S': route: .*missing 3 required"),
        (SpaceEvent, {"sector_name": ""}, "a sector's name must not be empty"),
        (SpaceEvent, {"description": "  "}, "an event's description must not be empty"),
        (SpaceEvent, {"impact_score": NAN}, "impact_score must be finite"),
        (SpaceEvent, {"severity": "grave"}, "'grave' is none of info, advisory"),
        (SpaceEvent, {"timestamp": "now"}, "datetime, found 'now'"),
        (SpaceEvent, {"timestamp": datetime.max.replace(tzinfo=UTC)}, "out of range"),
    ],
)
def test_a_wrong_value_is_a_value_error_that_names_it(
    cls: type, wrong: dict[str, Any], message: str
) -> None:
    """The error is an InvalidInput, and so a ValueError."""
    with pytest.raises(InvalidInput, match=message) as caught:
        cls(**{**_MODELS[cls], **wrong})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [-3.0, 7.0])
@pytest.mark.parametrize(
    ("cls", "field"),
    [
        (CelestialBody, "resource_index"),
        (CelestialBody, "habitability"),
        (OrbitalRoute, "congestion"),
        (OrbitalRoute, "stability"),
        (SpaceSector, "hazard_index"),
        (SpaceSector, "supply_level"),
        (SpaceEvent, "impact_score"),
    ],
)
def test_an_index_beyond_its_scale_is_clamped_to_it(cls: type, field: str, value: float) -> None:
    """Earlier code relies on it: 0 and 1 are the ends."""
    assert getattr(cls(**{**_MODELS[cls], field: value}), field) == (1.0 if value > 0 else 0.0)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (lambda e: e.record_event({**EVENT, "severity": "grave"}), "'grave'"),
        (lambda e: e.record_event({**EVENT, "depth": 1}), "unexpected keyword argument 'depth'"),
        (lambda e: e.record_event("quake"), "a SpaceEvent or a mapping, found 'quake'"),
        (lambda e: e.record_event({**EVENT, "metadata": {"x": NAN}}), "nan is not a finite"),
        (lambda e: e.ingest_events([EVENT, {**EVENT, "impact_score": INF}]), "found inf"),
        (lambda e: e.ingest_events([{**EVENT, "sector_name": "New"}, None]), "found None"),
        (lambda e: e.upsert_sector({"name": "New", "speed": 1}), "keyword argument 'speed'"),
        (lambda e: e.upsert_sector({}), "missing 1 required"),
        (lambda e: e.upsert_sector(None), "found None"),
        (lambda e: e.stabilise("Belt", damping_factor=NAN), "damping_factor must be finite"),
        (lambda e: e.stabilise("Belt", congestion_threshold="x"), "congestion_threshold must be"),
        (lambda e: e.stabilise("Bolt"), "no sector named 'Bolt'"),
        (lambda e: e.configure_intervention_threshold(NAN), "intervention_threshold must be"),
        (lambda e: e.snapshot("Belt", horizon=-1), "horizon must be at least 0, found -1"),
    ],
)
def test_a_wrong_command_changes_nothing(
    engine: DynamicSpaceEngine, command: Callable[[DynamicSpaceEngine], Any], message: str
) -> None:
    """Neither the state nor a byte of the journal, with and without one."""
    before = state(engine)
    with pytest.raises(InvalidInput, match=message):
        command(engine)
    assert state(engine) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_events": 0}, "found 0"), ({"intervention_threshold": NAN}, "must be finite")],
)
def test_an_engine_refuses_senseless_settings(options: dict[str, Any], message: str) -> None:
    """At construction, not at the first event."""
    with pytest.raises(InvalidInput, match=message):
        DynamicSpaceEngine(**options)
