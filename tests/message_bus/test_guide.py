"""What `docs/bus.md` shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import yaml

from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino, environment

GUIDE = (REPOSITORY / "docs" / "bus.md").read_text()


def blocks() -> list[str]:
    """The indented blocks that are no part of a list, in their order."""
    found, block = [], ""
    for line in [*GUIDE.splitlines(), "end"]:
        if line.startswith("    ") or not line:
            block += f"{line}\n"
        else:
            found += [block] if block.strip() else []
            block = ""
    return [dedent(block).strip("\n") for block in found]


def is_program(block: str) -> bool:
    return not block.startswith(("$ ", "bus:", "dino ", "# skills/"))


def shows(line: str) -> re.Pattern[str]:
    """`…` stands for anything."""
    return re.compile(re.escape(" ".join(line.split())).replace("…", ".*"))


def test_the_commands_show_what_they_say(dino: Dino, workspace: Path) -> None:
    """In order; the skill beside them lies where it says."""
    (skill,) = [block for block in blocks() if block.startswith("# skills/")]
    (workspace / "skills" / "ship.py").write_text(skill)
    sessions = [block for block in blocks() if block.startswith("$ ")]
    assert len(sessions) == 2
    for line in "\n".join(sessions).splitlines():
        if line.startswith("$ "):
            door, *arguments = shlex.split(line.removeprefix("$ "))
            printed = [
                " ".join(told.split()) for told in dino(*arguments, door=door).out.splitlines()
            ]
        else:
            assert any(shows(line).fullmatch(told) for told in printed), (line, printed)
    task = Workspace(workspace).resources.tasks(source="bus:ship")[0]
    assert task.result == "order 9 for 4 is on its way"


def test_the_programs_run(workspace: Path) -> None:
    """One after the other, as parts of one."""
    programs = [block for block in blocks() if is_program(block)]
    assert len(programs) > 3
    file = workspace / "guide.py"
    file.write_text("\n".join(programs))
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the message does not fit" in done.stderr


def test_the_settings_are_settings(workspace: Path) -> None:
    (settings,) = [block for block in blocks() if block.startswith("bus:")]
    (workspace / "config.yaml").write_text(settings)
    expected = yaml.safe_load(settings)["bus"]
    found = Workspace(workspace).config.settings.bus
    assert set(found.channels) == set(expected["channels"])


def test_the_commands_that_it_names_are_there(dino: Dino) -> None:
    for name in sorted(set(re.findall(r"dino bus ([a-z]+)", GUIDE))):
        assert dino("bus", name, "--help").out.startswith(f"Usage: dino bus {name}")
