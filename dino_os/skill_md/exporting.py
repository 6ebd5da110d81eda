"""A skill as a folder with SKILL.md, for other agents; one that was imported as it came."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from dino_os.errors import Denied, InvalidInput
from dino_os.skill_index import Parameter, Skill
from dino_os.skill_md.bundle import taken
from dino_os.skill_md.document import FILE, read, written
from dino_os.skill_sources import read_sources

_RUNNER = "scripts/run.py"
_RUN = '''"""Run the skill: its parameters come as a JSON object on standard input."""

import json
import sys
from types import ModuleType

beside = sys.modules["{package}"] = ModuleType("{package}")
beside.__path__ = sys.path[:1]  # where its files may look for each other

from {module} import {name}

given = sys.stdin.read().strip()
print(json.dumps({name}(**json.loads(given or "{{}}")), ensure_ascii=False))
'''
_BODY = """# {title}

{doc}

## How to run it

With Dino installed (`pip install dino-os`), in a workspace that has the skill, in its sandbox:

    {command}

Or by itself, where nothing confines it; its parameters are a JSON object on standard input:

    python scripts/run.py

{parameters}"""


def export(skill: Skill, folder: Path) -> Path:
    """
    Write *skill* to a folder of its name in *folder*; that folder.

    Raises:
        InvalidInput: It is there already, or the skill cannot be read.
    """
    name, files = _imported(skill) or _made(skill)
    read(files[FILE].decode(), name)  # as whoever takes it in will
    target = folder / name
    if target.exists():
        raise InvalidInput(f"{target} is there already")
    for below, content in files.items():
        place = target / below
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return target


def _imported(skill: Skill) -> tuple[str, dict[str, bytes]] | None:
    """The folder that *skill* was imported from, checked against what was pinned."""
    found = {
        node.targets[0].id: node.value
        for node in ast.parse(skill.file.read_bytes()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    try:
        folder, pins = (ast.literal_eval(found[name]) for name in ("FOLDER", "PINS"))
    except (KeyError, ValueError):
        return None
    own = skill.file.parent / PurePosixPath(str(folder)).name
    bundle = taken(own)
    if pins != {name: hashlib.sha256(text).hexdigest() for name, text in bundle.files.items()}:
        raise Denied(f"{own} is not what it was when the skill was imported")
    return bundle.front.name, bundle.files


def _made(skill: Skill) -> tuple[str, dict[str, bytes]]:
    name = re.sub(r"_+", "-", skill.name).strip("-").lower()
    sources = read_sources(skill)
    files = {f"scripts/{Path(path).name}": text.encode() for path, text in sources.texts.items()}
    if _RUNNER in files:
        raise InvalidInput(f"{skill.file.name}: another file of an exported skill is called so")
    run = _RUN.format(package=skill.file.parent.name, module=skill.file.stem, name=skill.name)
    return name, {FILE: _document(skill, name).encode(), _RUNNER: run.encode(), **files}


def _document(skill: Skill, name: str) -> str:
    doc = skill.doc.partition("Args:\n")[0].strip()
    front: dict[str, Any] = {
        "name": name,
        "description": " ".join(doc.split())[:1024] or f"The skill {skill.name}.",
        "compatibility": "Python 3.11 and Dino (pip install dino-os)",
        "metadata": {"dino-skill": skill.name},
    }
    if skill.permissions:
        front["metadata"]["dino-permissions"] = json.dumps(skill.permissions)
    shown = " ".join(f"--{p.name.replace('_', '-')} …" for p in skill.parameters if p.required)
    rows = [_row(parameter) for parameter in skill.parameters]
    parameters = "\n".join(["| parameter | type | what it is |", "|---|---|---|", *rows])
    body = _BODY.format(
        title=name,
        doc=doc,
        command=f"dino run {skill.name} {shown}".rstrip(),
        parameters=parameters if rows else "It takes no parameters.",
    )
    return written(front, body)


def _row(parameter: Parameter) -> str:
    needed = "" if parameter.required else f", {parameter.default!r} where it is left out"
    kind = (parameter.annotation or "any").replace("|", "\\|")
    return f"| {parameter.name} | {kind}{needed} | {parameter.help} |"
