"""
An imported skill's files, as they are read and run inside the sandbox.

The skill that is granted holds the hash of each: what was changed since is neither read nor run.
Scripts run from a copy that was checked, in the run's own folder.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dino_os.errors import Denied, InvalidInput, SkillFailed

# By the ending of a script: what runs it.
RUN_BY = {".py": "", ".sh": "sh", ".bash": "bash", ".js": "node", ".mjs": "node"}
_LONGEST_OUTPUT = 16 * 2**20


def read(folder: str, pins: Mapping[str, str], file: str) -> str:
    """The text of *file*, which is one of the skill's."""
    if file not in pins:
        raise InvalidInput(f"no file {file!r} in the skill; there are {', '.join(pins)}")
    return _checked(folder, pins, file).decode("utf-8", "replace")


def run(
    folder: str, pins: Mapping[str, str], script: str, arguments: Sequence[str], text: str
) -> str:
    """
    What *script* prints, run with *arguments*, and *text* on its standard input.

    Raises:
        SkillFailed: It exits with another code than 0.
    """
    copy = Path(os.environ["HOME"], Path(folder).name)
    for name in pins:
        place = copy / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_checked(folder, pins, name))
    program = RUN_BY[Path(script).suffix] or sys.executable
    # What a skill may import a script may too.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [program, str(copy / script), *arguments],
        input=text.encode(),
        stdout=subprocess.PIPE,
        env=environment,
        check=False,
    )
    shown = done.stdout[:_LONGEST_OUTPUT].decode("utf-8", "replace")
    if done.returncode:
        print(shown)  # noqa: T201  the run's output has it, as what it said to standard error
        raise SkillFailed(f"{script} exits with code {done.returncode}")
    return shown


def _checked(folder: str, pins: Mapping[str, str], name: str) -> bytes:
    content = Path(folder, name).read_bytes()
    if hashlib.sha256(content).hexdigest() != pins[name]:
        raise Denied(
            f"{folder}/{name} is not what it was when the skill was imported",
            hint="`dino skill import … --replace` takes it in anew",
        )
    return content
