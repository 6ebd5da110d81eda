"""Skills that travel run on the other node's one path, where it has the same text of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dino_os.cluster.abilities import Abilities
from dino_os.work.tasks import skill_task
from dino_os.workspace import Workspace
from tests.cluster.servers import needs_server, until
from tests.cluster.task_site import Site, site

pytestmark = needs_server

SKILLS = """
import os
from dino_os import skill

@skill(retries=2)
def known(n: int) -> dict:
    return {name: os.environ[name] for name in ("DINO_TASK_ID", "DINO_IDEMPOTENCY_KEY")}

@skill(reads=["data/"])
def reader() -> int:
    return 1

@skill(reaches=["example.org"])
def caller() -> int:
    return 1
"""


def _write(home: Path, text: str = SKILLS) -> None:
    (home / "skills").mkdir(exist_ok=True)
    (home / "skills" / "mine.py").write_text(text)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, workers=1) as found:
        yield found


def test_a_skill_runs_where_its_text_is_the_same(started: Site) -> None:
    owner, worker = started.owner, started.workers[0]
    for node in started.nodes:
        _write(node.home)
    workspace = Workspace(owner.home)
    task = skill_task(workspace, "known", {"n": 1}, task_id="mine", key="the-key")
    workspace.resources.submit_task(task)
    # The line is in the file a moment before it counts as recorded.
    resources = workspace.resources
    until(
        lambda: (task := resources.task("mine")) is not None and task.outcome is not None,
        started.logs(),
        started.server,
    )
    found = resources.task("mine")
    assert found
    assert found.result == {"DINO_TASK_ID": "mine", "DINO_IDEMPOTENCY_KEY": "the-key"}
    runs = [
        json.loads(line)
        for line in (worker.home / "memory" / "runs.jsonl").read_text().split("\n")
        if line
    ]
    assert [run["skill"] for run in runs if run["event_type"] == "run_started"] == ["known"]
    assert not (owner.home / "memory" / "runs.jsonl").exists()


def test_a_skill_whose_text_changed_is_another_skill(started: Site) -> None:
    """Whichever of them was changed: it waits for a node that has the owner's."""
    owner, worker = started.owner, started.workers[0]
    _write(owner.home)
    _write(worker.home, SKILLS.replace("n: int", "n: float"))
    workspace = Workspace(owner.home)
    resources = workspace.resources
    resources.submit_task(skill_task(workspace, "known", {"n": 1}, task_id="other"))
    started.submit(1)
    until(lambda: started.succeeded() == 1, started.logs(), started.server)
    assert resources.task("other").state == "queued"  # type: ignore[union-attr]
    _write(worker.home)
    until(lambda: started.succeeded() == 2, started.logs(), started.server)


def test_what_touches_files_or_was_not_granted_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    _write(tmp_path)
    workspace = Workspace(tmp_path)
    assert set(Abilities(workspace).hashes()) == {"skill:known"}
    caller = workspace.plugins.skills().find("caller")
    workspace.admission.grant(caller, by="me")
    assert set(Abilities(workspace).hashes()) == {"skill:known", "skill:caller"}
    assert skill_task(workspace, "reader", {}).local
    assert not skill_task(workspace, "known", {"n": 1}).local
