"""A worker begins with nothing that lies about, and one that cannot begin is no task's fault."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from dino_os.workspace import Workspace
from engines.resource_engine import Task, TaskState
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.resource_engine.kit import until
from tests.skills.conftest import Write

HOSTILE = "from pathlib import Path\nPath({here!r}).touch()\nraise SystemExit('hostile')\n"


def test_nothing_is_imported_from_where_it_is_started_or_from_the_workspace(
    workspace: Path, write: Write, dino: Dino
) -> None:
    """Skills may write there: what they leave must not run outside their sandbox."""
    write("@skill\ndef level() -> str:\n    return 'high'\n")
    proof = workspace / "ran"
    elsewhere = workspace / "elsewhere"
    elsewhere.mkdir()
    for folder in (workspace, elsewhere):
        dino("engine", "submit", "level", "--id", folder.name)
    for folder in (workspace, elsewhere):
        for name in ("msgspec", "orjson", "psutil", "keyring", "yaml"):
            (folder / f"{name}.py").write_text(HOSTILE.format(here=str(proof)))
    for folder in (workspace, elsewhere):
        # As the installed command starts: without the folder it is called in.
        python, *rest = command("--home", workspace, "engine", "work", "--once")
        subprocess.run(
            [python, "-P", *rest],
            check=True,
            cwd=folder,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            capture_output=True,
        )
        assert Workspace(workspace).resources.task(folder.name).outcome == "ok"  # type: ignore[union-attr]
    assert not proof.exists()


def test_settings_that_do_not_stand_for_a_moment_cost_no_task_an_attempt(
    workspace: Path, write: Write, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """Workers that cannot start bring nothing to an end; the next that can does."""
    write("@skill\ndef level() -> str:\n    return 'high'\n")
    work = started("engine", "work", "--workers", "1")
    resources = Workspace(workspace).resources
    until(resources.sessions, "a session")
    good = (workspace / "config.yaml").read_text()
    (workspace / "config.yaml").write_text("sandbox: [")
    resources.submit_task(Task("t", payload={"skill": "level"}, max_attempts=1))
    until(lambda: resources.task("t").state is TaskState.RUNNING, "a try")  # type: ignore[union-attr]
    until(lambda: resources.task("t").state is TaskState.QUEUED, "its way back")  # type: ignore[union-attr]
    (workspace / "config.yaml").write_text(good)
    until(lambda: resources.task("t").state is TaskState.SUCCEEDED, "an end")  # type: ignore[union-attr]
    assert resources.task("t").attempts == 1  # type: ignore[union-attr]
    assert work.poll() is None
