"""The README's session is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
TIMES = re.compile(r"planned in \d+\.\d+ s")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each `$ command` of the indented blocks, and the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    shown: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("    $ "):
            shown = []
            found.append((line.removeprefix("    $ "), shown))
        elif shown is not None and line.startswith("    "):
            shown.append(line.removeprefix("    "))
        elif line.strip():
            shown = None
    return found


def test_every_command_of_the_readme_shows_what_it_says(
    workspace: Path, dino: Callable[..., object]
) -> None:
    """Run in order in a fresh workspace, each prints the lines below it, in their order."""
    for name in ("skills", "examples"):
        shutil.copytree(REPOSITORY / name, workspace / name, dirs_exist_ok=True)
    session = commands((REPOSITORY / "README.md").read_text())
    assert len(session) > 3
    for command, shown in session:
        door, *arguments = shlex.split(command)
        printed = [TIMES.sub("…", line) for line in dino(*arguments, door=door).out.splitlines()]
        place = 0
        for line in shown:
            wanted = TIMES.sub("…", line)
            if wanted not in printed[place:]:
                pytest.fail(f"{command}: does not print {line!r}")
            place = printed.index(wanted, place) + 1
