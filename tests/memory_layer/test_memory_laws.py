"""Against a plain mapping: whatever is done, in whatever order, with new processes in between."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal, verify
from tests.memory_layer.conftest import check_sound, recorded

KEYS = st.sampled_from(["a", "b", "trade_1", "\0", "é"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def replay(events: list[dict[str, Any]]) -> dict[str, str]:
    """What the journal says is there: each key with the hash of its value."""
    there: dict[str, str] = {}
    for event in events:
        match event["event_type"]:
            case "memory_added":
                assert event["replaced"] == (event["key"] in there)
                there[event["key"]] = event["sha256"]
            case "memory_deleted":
                assert there.pop(event["key"]) == event["sha256"]
            case "memory_cleared":
                assert event["entries"] == len(there)
                there = {}
    return there


class AgainstAMapping(RuleBasedStateMachine):
    folders: Any = None  # where each run has its own

    @initialize()
    def begin(self) -> None:
        self.folder: Path = type(self).folders.mktemp("law")
        self.plain: dict[str, Any] = {}
        self.restart()

    @rule()
    def restart(self) -> None:
        journal = Journal(self.folder / "log.jsonl")
        self.store = MemoryStore(self.folder / "m.db", journal)

    @rule(key=KEYS, value=VALUES)
    def add(self, key: str, value: Any) -> None:
        self.store.add(key, value)
        self.plain[key] = value

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.store.delete(key) == (self.plain.pop(key, self) is not self)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.store.get(key) == self.plain.get(key)

    @rule()
    def clear(self) -> None:
        assert self.store.clear() == len(self.plain)
        self.plain = {}

    @invariant()
    def the_same_is_there(self) -> None:
        if hasattr(self, "store"):
            assert self.store.get_all() == self.plain
            assert self.store.list() == sorted(self.plain, key=str.encode)

    def teardown(self) -> None:
        if self.plain or (self.folder / "m.db").exists():
            hashes = {
                key: hashlib.sha256(text(value).encode()).hexdigest()
                for key, value in self.store.get_all().items()
            }
            assert replay(recorded(self.folder / "log.jsonl")) == hashes
            assert verify(self.folder / "log.jsonl").ok
            check_sound(self.folder / "m.db")


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_a_memory_is_a_mapping_that_lasts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three hundred operations and more; the journal alone tells which hashes are there."""
    AgainstAMapping.folders = tmp_path_factory
    run_state_machine_as_test(
        AgainstAMapping,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),  # a busy machine makes examples slowly
        ),
    )
    assert len(list(tmp_path_factory.getbasetemp().glob("law*"))) >= 10
