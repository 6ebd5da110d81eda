"""Snapshots that cannot be used, or should not: passed over, and nothing of them runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.snapshot import pack
from engines.zone import DynamicZoneRegistry
from tests.audit.drivers import DRIVERS
from tests.audit.office import kinds

Form = dict[str, Any]


def opened(root: Path) -> DynamicZoneRegistry:
    """The engine as the next process makes it."""
    return Workspace(root).zones


def state(engine: DynamicZoneRegistry) -> bytes:
    return orjson.dumps({name: pack(getattr(engine, name)) for name in engine._state_names})


def snapshot(root: Path) -> Path:
    return root / "memory" / "zones.snapshot"


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with zones and a snapshot behind their last event."""
    root = tmp_path_factory.mktemp("driven")
    (root / "config.yaml").write_text("planning:\n  zone_history: 4\n")
    for step in DRIVERS["zones"]():
        step(Workspace(root))
    opened(root).save_snapshot()
    return root


@pytest.fixture
def root(driven: Path, tmp_path: Path) -> Path:
    return shutil.copytree(driven, tmp_path / "w")


@pytest.fixture
def whole(root: Path) -> bytes:
    """What the journal folds to."""
    content = snapshot(root).read_bytes()
    snapshot(root).unlink()
    folded = state(opened(root))
    snapshot(root).write_bytes(content)
    return folded


def with_position(**changes: Any) -> Callable[[Form], Any]:
    return lambda form: {**form, "position": {**form["position"], **changes}}


def with_batch(value: Any) -> Callable[[Form], Any]:
    """Something else in the place of one attribute of the state."""
    return lambda form: {**form, "state": {**form["state"], "last_batch": value}}


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


ALTERED: dict[str, Callable[[Form], Any]] = {
    "nothing": lambda form: None,
    "number": lambda form: 5,
    "list": lambda form: [form],
    "no-state": lambda form: {k: v for k, v in form.items() if k != "state"},
    "state-a-list": lambda form: {**form, "state": [1]},
    "another-format": lambda form: {**form, "format": 2},
    "another-maker": lambda form: {**form, "maker": "DynamicZoneRegistry 0"},
    "an-attribute-less": lambda form: {**form, "state": {"last_batch": None}},
    "an-attribute-more": lambda form: {**form, "state": {**form["state"], "clock": 1}},
    "no-position": lambda form: {**form, "position": {}},
    "position-a-number": lambda form: {**form, "position": 5},
    "a-later-place": with_position(seq=999, offset=10**9),
    "a-later-number": with_position(seq=999),
    "an-earlier-number": with_position(seq=1),
    "a-place-within-a-line": with_position(offset=500),
    "before-the-beginning": with_position(offset=-5),
    "another-line": with_position(parent_hash="0" * 64),
    "hash-a-number": with_position(parent_hash=5),
    "hash-none": with_position(parent_hash=None),
    "offset-a-text": with_position(offset="5"),
    "offset-none": with_position(offset=None),
    "number-a-text": with_position(seq="5"),
    "number-none": with_position(seq=None),
    "an-unknown-type": with_batch({"": "engines.zone.model:Nothing", "=": []}),
    "an-unknown-module": with_batch({"": "engines.nothing:Zone", "=": []}),
    "a-type-without-module": with_batch({"": "zone", "=": []}),
    "a-type-that-is-none": with_batch({"": None, "=": []}),
    "no-content": with_batch({"": "tuple"}),
    "too-few-fields": with_batch({"": "engines.zone.model:Zone", "=": ["Mole"]}),
    "too-many-fields": with_batch({"": "engines.zone.model:ZoneEventType", "=": [1, 2]}),
    "an-enum-without-it": with_batch({"": "engines.zone.model:ZoneEventType", "=": "flood"}),
    "a-date-that-is-none": with_batch({"": "datetime", "=": "soon"}),
    "bytes-that-are-none": with_batch({"": "bytes", "=": "xyz"}),
    "a-deque-of-nothing": with_batch({"": "deque", "=": []}),
    "a-deque-without-end": with_batch({"": "deque", "=": [10**30, 1]}),
    "a-deque-below-zero": with_batch({"": "deque", "=": [-1, 1]}),
    "a-set-of-lists": with_batch({"": "set", "=": [[1]]}),
    "pairs-of-three": with_batch({"": "dict", "=": [[1, 2, 3]]}),
    "nested-900": with_batch(nested(900)),
}
GARBAGE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "half": b'{"format":1,"maker":"',
    "nested-100000": b"[" * 100_000 + b"]" * 100_000,
    "objects-100000": b'{"format":' * 100_000,
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_a_snapshot_that_cannot_be_used_is_passed_over(
    root: Path, whole: bytes, alter: Callable[[Form], Any]
) -> None:
    """The engine opens, folds the journal, and goes on as if there were none."""
    file = snapshot(root)
    file.write_bytes(json.dumps(alter(json.loads(file.read_bytes()))).encode())
    engine = opened(root)
    assert state(engine) == whole
    engine.record_event("Mole", kind="enter")
    found = Auditing(Workspace(root)).audit(root / "memory" / "zones.jsonl")
    assert set(kinds(found)) <= {"snapshot"}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_passed_over(root: Path, whole: bytes, content: bytes) -> None:
    snapshot(root).write_bytes(content)
    assert state(opened(root)) == whole
    assert Auditing(Workspace(root)).audit(root / "memory" / "zones.jsonl").ok


def test_the_snapshot_of_another_journal_is_passed_over(
    root: Path, whole: bytes, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    for step in DRIVERS["zones"]():
        step(Workspace(other))
    Workspace(other).sectors.upsert_sector({"name": "North"})
    Workspace(other).sectors.save_snapshot()
    opened(other).save_snapshot()
    for foreign in (snapshot(other), snapshot(other).with_name("sectors.snapshot")):
        shutil.copy(foreign, snapshot(root))
        assert state(opened(root)) == whole


@pytest.mark.parametrize(
    "kind",
    [
        "os:system",
        "subprocess:Popen",
        "builtins:eval",
        "antigravity:fly",
        "enginesx:Zone",
        "engines.durable:replace_file",
        "engines.snapshot:import_module",
        "engines.engine:sys",
        "engines.engine:Path",
        "engines.journal.journal:Journal",
        "engines.journal.head:HeadFile",
        "dino_os.workspace:Workspace",
        "dino_os.runner:Runner",
        "engines.zone.model:Zone.__init__",
        "engines.zone.model:Zone.as_dict",
    ],
)
def test_nothing_of_a_snapshot_runs(
    root: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Only plain data of our own types is made of it, and no other module is even imported."""
    monkeypatch.chdir(root)
    file = snapshot(root)
    form = orjson.loads(file.read_bytes())
    before = {p for p in root.rglob("*") if p.is_file()}
    for content in ("touch", ["touch", "touched"], [["touch", "touched"]], []):
        file.write_bytes(orjson.dumps(with_batch({"": kind, "=": content})(form)))
        assert state(opened(root)) == whole
    assert {p for p in root.rglob("*") if p.is_file()} == before
    assert "antigravity" not in sys.modules
