"""Snapshots: folding from one gives what folding all gives; what cannot be used is passed over."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines import engine as engine_module
from engines.engine import Engine
from engines.snapshot import pack
from engines.state import DynamicStateEngine
from engines.zone import DynamicZoneRegistry
from tests.audit.drivers import DRIVERS, MARK

CONFIG = "planning:\n  zone_history: 4\n  sector_history: 3\n  state_history: 3\n"


def opened(root: Path, name: str) -> Engine:
    """The engine as the next process makes it."""
    return Workspace(root).engines[name]()


def state(engine: Engine) -> bytes:
    """All it folded, with types, order and limits."""
    return orjson.dumps({name: pack(getattr(engine, name)) for name in engine._state_names})


def snapshot_file(root: Path, name: str) -> Path:
    return root / "memory" / f"{name}.snapshot"


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Per engine a workspace on which it did all it can, with a snapshot behind its last event."""
    roots = {}
    for name, steps in DRIVERS.items():
        roots[name] = root = tmp_path_factory.mktemp(name)
        (root / "config.yaml").write_text(CONFIG)
        workspace = Workspace(root)
        for step in steps():
            step(workspace)
        opened(root, name).save_snapshot()
    return roots


@pytest.fixture
def copied(driven: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: shutil.copytree(driven[name], tmp_path / "w")


def test_every_engine_is_driven() -> None:
    assert DRIVERS.keys() == Workspace(Path()).engines.keys()


@pytest.mark.parametrize("name", DRIVERS)
def test_folding_all_equals_the_snapshot_and_the_rest(tmp_path: Path, name: str) -> None:
    """Taken after each command in turn, continued to the end, and again not a fault of an audit."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    workspace, taken, file = Workspace(tmp_path), [], snapshot_file(tmp_path, name)
    for step in DRIVERS[name]():
        step(workspace)
        engine = opened(tmp_path, name)
        engine.save_snapshot()
        taken.append(file.read_bytes())
        file.unlink()
    folded = opened(tmp_path, name)
    whole = state(folded)
    assert MARK.encode() in whole
    assert len(taken) >= 3
    for content in taken:
        file.write_bytes(content)
        engine = opened(tmp_path, name)
        assert engine._saved_at == orjson.loads(content)["position"]["seq"] > 0
        assert state(engine) == whole
        assert engine.check_snapshot() is None
        assert state(engine) == whole


zone_events = st.tuples(
    st.sampled_from(["enter", "exit", "sample", "alert"]),
    st.sampled_from(["Mole", "Quay"]),
    st.integers(-3, 3),
    st.none() | st.floats(-1e9, 1e9),
    st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
)
_numbers = itertools.count()


@given(events=st.lists(zone_events, max_size=12), at=st.integers(0, 12))
@settings(max_examples=15)
def test_any_zone_events_fold_the_same(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], at: int
) -> None:
    """Whatever they say, and wherever the snapshot is taken."""
    root = tmp_path_factory.getbasetemp() / f"zones-{next(_numbers)}"
    root.mkdir()
    (root / "config.yaml").write_text(CONFIG)
    for name in ("Mole", "Quay"):
        edges = {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}
        Workspace(root).zones.register_zone({"name": name, "boundary": edges})
    registry = Workspace(root).zones
    for number, (kind, zone, change, value, note) in enumerate(events):
        if number == at:
            registry.save_snapshot()
        registry.record_event(zone, kind=kind, change=change, value=value, note=note)
    with_snapshot = state(opened(root, "zones"))
    snapshot_file(root, "zones").unlink(missing_ok=True)
    assert with_snapshot == state(opened(root, "zones")) == state(registry)


def test_a_snapshot_is_taken_by_itself_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that opening folds a bounded number of events; one that cannot be saved harms nothing."""
    monkeypatch.setattr(engine_module, "_SNAPSHOT_EVERY", 10)
    states = Workspace(tmp_path).states
    for number in range(25):
        states.capture({"state": "morale", "intensity": number / 25})
    applied = []
    monkeypatch.setattr(DynamicStateEngine, "apply_signal_captured", applied.append)
    opened(tmp_path, "states")
    assert 0 < len(applied) < 10
    monkeypatch.undo()
    monkeypatch.setattr(engine_module, "_SNAPSHOT_EVERY", 10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engines.snapshot.replace_file", full)
    for number in range(25):
        states.capture({"state": "morale", "intensity": number / 25})
    assert Workspace(tmp_path).states.snapshot("morale").metadata == {"signal_count": 50}


def test_a_rehearsal_begins_with_a_snapshot_and_writes_none(
    copied: Callable[[str], Path],
) -> None:
    root = copied("zones")
    before = snapshot_file(root, "zones").read_bytes()
    rehearsal = Workspace(root, rehearsal=True).zones
    assert rehearsal._saved_at > 0
    rehearsal.record_event("Mole", kind="enter")
    rehearsal.save_snapshot()
    assert snapshot_file(root, "zones").read_bytes() == before


# --- of others, and altered -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zones", "sectors", "states", "cycles"])
def test_a_snapshot_of_other_settings_is_passed_over(
    copied: Callable[[str], Path], name: str
) -> None:
    root = copied(name)
    assert opened(root, name)._saved_at > 0
    history = "".join(f"  {kind}_history: 2\n" for kind in ("zone", "sector", "state"))
    (root / "config.yaml").write_text(f"planning:\n{history}  alert_threshold: 0.1\n")
    folded = opened(root, name)
    assert folded._saved_at == 0
    snapshot_file(root, name).unlink()
    assert state(opened(root, name)) == state(folded)


@pytest.mark.parametrize("source", ["registry.py", "model.py"])
def test_a_snapshot_of_other_code_is_passed_over(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Of the engine, or of what its state is made of: fields may have changed places."""
    root, read = copied("zones"), Path.read_bytes
    changed = Path(sys.modules[DynamicZoneRegistry.__module__].__file__ or "").with_name(source)
    assert opened(root, "zones")._saved_at > 0
    monkeypatch.setattr(Path, "read_bytes", lambda p: read(p) + (b"# new" if p == changed else b""))
    assert opened(root, "zones")._saved_at == 0


@pytest.mark.parametrize("name", DRIVERS)
def test_a_snapshot_that_was_altered_is_found(copied: Callable[[str], Path], name: str) -> None:
    """An engine begins with it unseen, an audit folds the lines again and tells."""
    root = copied(name)
    file, path = snapshot_file(root, name), root / "memory" / f"{name}.jsonl"
    assert Auditing(Workspace(root)).audit(path).ok
    content = file.read_bytes()
    file.write_bytes(content.replace(MARK.encode(), b"forger"))
    assert file.read_bytes() != content
    (fault,) = Auditing(Workspace(root)).audit(path).faults
    assert (fault.kind, fault.file) == ("snapshot", file.name)
    assert "delete it" in fault.what
    file.unlink()
    assert Auditing(Workspace(root)).audit(path).ok
