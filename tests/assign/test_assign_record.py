"""The history of decisions is a fold over its journal."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engines.assign import AgentProfile, AssignableTask, DynamicAssignEngine
from engines.errors import InvalidInput
from engines.journal import Journal, verify

NOW = 1_800_000_000.25


def opened(path: Path) -> DynamicAssignEngine:
    return DynamicAssignEngine(journal=Journal(path, clock=lambda: NOW), clock=lambda: NOW)


def seen(engine: DynamicAssignEngine) -> Any:
    return engine.history, engine.unassigned


skills = st.sampled_from([("dive",), ("fly",), ("dive", "fly")])
rounds = st.tuples(
    st.booleans(),
    st.lists(
        st.builds(AssignableTask, st.sampled_from("abc"), st.just("d"), st.floats(0, 1), skills),
        max_size=3,
    ),
    st.lists(st.builds(AgentProfile, st.sampled_from("xyz"), skills, st.floats(0, 9)), max_size=2),
    st.none() | st.integers(-1, 2),
)


@settings(max_examples=18)
@given(st.lists(rounds, max_size=5))
def test_any_history_folds_anew_to_the_live_state(script: list[Any]) -> None:
    """Two processes take turns; both and a third that comes later end up with one history."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "assignments.jsonl"
        pair = opened(path), opened(path)
        pair[0].recommend_assignments([], [])
        for second, tasks, agents, limit in script:
            try:
                plan = pair[second].decide(tasks, agents, limit=limit)
            except InvalidInput:
                continue  # refused; must leave no trace, as the fold below shows
            assert seen(pair[second]) == seen(opened(path))
            assert pair[second].unassigned == plan.unassigned
            older = len(pair[second].history) - len(plan.decisions)
            assert pair[second].history[older:] == list(plan.decisions)
        for engine in pair:
            engine.refresh()
            assert seen(engine) == seen(opened(path))
        assert verify(path).ok


def test_the_record_says_what_was_decided(tmp_path: Path) -> None:
    """The journal can be read alone: the round, its decisions, and what was left over."""
    tasks = [AssignableTask("a", "d", required_skills=("dive",)), AssignableTask("b", "d", 0.1)]
    opened(tmp_path / "assignments.jsonl").decide(tasks, [AgentProfile("x", ("fly",), 9)])
    lines = [
        (event["event_type"], event.get("task_id"), event.get("agent") or event.get("cause"))
        for event in Journal(tmp_path / "assignments.jsonl").events()
    ]
    assert lines == [
        ("journal_created", None, None),
        ("round_planned", None, None),
        ("assignment_decided", "b", "x"),
        ("task_left_over", "a", "no_skill"),
    ]
