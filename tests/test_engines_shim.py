"""`from engines import …`: one import path, nothing imported before it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import engines

REPOSITORY = Path(engines.__file__).parent.parent
EXPORTS = [(name, home) for home, names in engines._ENGINE_EXPORTS.items() for name in names]
PROMISED = [
    "ResourceEngine",
    "ResourcePool",
    "ResourceType",
    "Task",
    "TaskPriority",
    "Entity",
    "EntityManager",
    "EntityState",
    "EntityType",
    "Gauge",
    "MetricsCollector",
    "AgentProfile",
    "AssignableTask",
    "AssignmentDecision",
    "DynamicAssignEngine",
    "BodyKind",
    "CelestialBody",
    "DynamicSpaceEngine",
    "OrbitalRoute",
    "SpaceEvent",
    "SpaceEventSeverity",
    "SpaceSector",
    "SpaceSnapshot",
    "SpaceNetworkOverview",
    "DynamicStateEngine",
    "StateDefinition",
    "StateSignal",
    "StateSnapshot",
    "TrajectoryOptimizer",
    "Fact",
    "Rule",
    "TrajectoryPath",
    "DynamicZoneRegistry",
    "Zone",
    "ZoneBoundary",
    "ZoneEvent",
    "ZoneEventType",
    "ZoneNotFoundError",
    "ZoneSnapshot",
    "DynamicUsageOrchestrator",
    "PersonaSignal",
    "UsageCycleResult",
    "AgentResult",
    "get_dynamic_start_agents",
    "configure_dynamic_start_agents",
    "prime_dynamic_start_agents",
    "reset_dynamic_start_agents",
]


def in_new_process(code: str) -> Any:
    """What *code*, in a process of its own, prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def ours_loaded_after(code: str) -> set[str]:
    loaded = in_new_process(f"{code}\nprint(json.dumps(list(sys.modules)))")
    return {name for name in loaded if name.split(".")[0] in ("engines", "dino_os", "orjson")}


@pytest.mark.parametrize(("name", "home"), EXPORTS)
def test_an_export_is_the_object_of_its_home(name: str, home: str) -> None:
    """The shim forwards, it does not copy; and the home lists it as public."""
    module = import_module(home)
    assert getattr(engines, name) is getattr(module, name)
    assert name in getattr(module, "__all__", dir(module))


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_name_is_exported(name: str) -> None:
    """What users' code imports from here is in the table."""
    assert name in dict(EXPORTS)


def test_dir_and_all_list_every_export() -> None:
    """Sorted, without doubles, before anything was imported."""
    code = "import engines\nprint(json.dumps([dir(engines), engines.__all__]))"
    directory, public = in_new_process(code)
    names = sorted(name for name, _ in EXPORTS)
    assert public == names
    assert len(set(names)) == len(names)
    assert set(names) <= set(directory)
    assert directory == sorted(directory)


def test_importing_engines_imports_no_engine() -> None:
    """The package alone, and nothing of what the engines need."""
    assert ours_loaded_after("import engines") == {"engines"}
    assert ours_loaded_after("import engines; dir(engines); hasattr(engines, 'x')") == {"engines"}


@pytest.mark.parametrize(
    ("name", "loaded", "dormant"),
    [
        ("DinoError", "errors", {"engine", "journal", "zone", "space", "orchestrator"}),
        ("Zone", "zone", {"space", "state", "assign", "personas", "orchestrator"}),
        ("DynamicStateEngine", "state", {"zone", "space", "assign", "personas", "orchestrator"}),
        ("AgentResult", "personas", {"zone", "space", "state", "assign", "orchestrator"}),
    ],
)
def test_using_one_engine_leaves_the_others_dormant(
    name: str, loaded: str, dormant: set[str]
) -> None:
    """Only the home of the name is imported, and what it needs itself."""
    found = ours_loaded_after(f"from engines import {name}")
    assert f"engines.{loaded}" in found
    assert not {f"engines.{module}" for module in dormant} & found


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first use it is an ordinary attribute of the module."""
    monkeypatch.delitem(vars(engines), "Zone", raising=False)
    first = engines.Zone
    assert vars(engines)["Zone"] is first
    monkeypatch.setattr(engines, "import_module", None)  # a second look-up would call it
    assert engines.Zone is first


@pytest.mark.parametrize("name", ["DynamicZone", "zone_", "__wrapped__", "_private", "checks_"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """With the usual words, so that `hasattr` and `from … import` behave."""
    with pytest.raises(AttributeError, match=f"module 'engines' has no attribute '{name}'"):
        getattr(engines, name)
    with pytest.raises(ImportError, match=f"cannot import name '{name}' from 'engines'"):
        exec(f"from engines import {name}")


def test_star_import_brings_every_export() -> None:
    """And nothing else."""
    names: dict[str, Any] = {}
    exec("from engines import *", names)
    assert set(names) - {"__builtins__"} == {name for name, _ in EXPORTS}
