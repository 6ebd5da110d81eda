"""A task made of a skill asks for what the skill's mark and the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.errors import InvalidInput, UnknownSkill
from dino_os.work.tasks import skill_task
from dino_os.workspace import Workspace
from engines.resource_engine import ResourceType, TaskPriority
from tests.skills.conftest import Write


def test_pools_attempts_and_limits_come_from_the_mark_and_the_settings(
    write: Write, home: Path
) -> None:
    write(
        """
        @skill(needs={"database": 2, "compute": 1}, retries=3)
        def heavy(n: int): pass
        @skill
        def plain(): pass
        """
    )
    (home / "config.yaml").write_text("resources: {skill_limits: {heavy: 2}}\n")
    workspace = Workspace(home)
    heavy = skill_task(workspace, "heavy", {"n": 1}, limits={"mine": 1}, batch="b")
    assert heavy.needs == {ResourceType.DATABASE: 2, ResourceType.COMPUTE: 1}
    assert (heavy.max_attempts, heavy.batch) == (4, "b")
    assert heavy.limits == {"mine": 1, "skill:heavy": 2}
    assert heavy.payload == {"skill": "heavy", "params": {"n": 1}}
    plain = skill_task(workspace, "plain", {}, task_id="p", max_attempts=7)
    assert (plain.task_id, plain.needs) == ("p", {ResourceType.COMPUTE: 1})
    assert (plain.max_attempts, plain.limits, plain.priority) == (7, {}, TaskPriority.NORMAL)


def test_what_could_not_run_is_not_submitted(write: Write, home: Path) -> None:
    write("@skill(needs={'databse': 1})\ndef odd(): pass\n@skill\ndef one(n: int): pass\n")
    workspace = Workspace(home)
    with pytest.raises(InvalidInput, match=r"needs 'databse', which is no pool.*'database'"):
        skill_task(workspace, "odd", {})
    with pytest.raises(UnknownSkill):
        skill_task(workspace, "on", {})
    with pytest.raises(InvalidInput):
        skill_task(workspace, "one", {"m": 1})
