"""
A folder with SKILL.md as skills: one that hands out its instructions, and one for each script.

The files are copied to `skills/NAME/`, where nothing is taken for a skill of its own.  Beside them
stands a file of skills, which holds what may be done and the hash of each file: a grant is for
that.
"""

from __future__ import annotations

import hashlib
import keyword
import pprint
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from dino_os.errors import InvalidInput, NotFound, SkillConflict
from dino_os.grants import Permissions, check
from dino_os.made_skills import check_made, take_back
from dino_os.said import docstring
from dino_os.skill_index import Skill, read_skills
from dino_os.skill_md.bundle import Bundle
from dino_os.skill_md.document import FILE, FrontMatter, read
from dino_os.skill_md.inside import RUN_BY
from dino_os.units import seconds
from engines.checks import did_you_mean
from engines.durable import make_folder, replace_file

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

_MADE = "Made by `dino skill import`"
_SAYS = "The skill {name!r} of agentskills.io"
_HEAD = f'''"""
{_SAYS}, from skills/{{name}}/SKILL.md.

{_MADE}, which makes it anew where the folder has changed.
"""

from dino_os import skill
from dino_os.skill_md import inside as _files
'''


@dataclass(frozen=True, slots=True)
class May:
    """What the scripts of a skill ask for besides the skill's own files."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    timeout: str = "60s"


def import_bundle(
    workspace: Workspace, bundle: Bundle, may: May, *, replace: bool = False
) -> list[Skill]:
    """
    Make skills of *bundle*; none is granted anything yet.

    Args:
        replace: Where it was imported before, take this in its place.

    Raises:
        SkillConflict: There is a skill of such a name.
        InvalidInput: It asks for what nobody can grant, or it is there already.
    """
    name, skills = bundle.front.name, workspace.skills_folder
    text = text_of(bundle, may)
    check(Permissions(may.reads, may.writes, may.reaches))
    seconds(may.timeout, "--timeout")
    file, folder = skills / f"{_identifier(name)}.py", skills / name
    _refuse_taken(workspace, text, file, folder, replace=replace)
    make_folder(skills)
    with tempfile.TemporaryDirectory(dir=skills, prefix=".") as draft:
        for below, content in bundle.files.items():
            place = Path(draft, "new", below)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        replace_file(file, text.encode())  # first: what a crash leaves is then ours to replace
        if folder.exists():
            folder.rename(Path(draft, "old"))
        Path(draft, "new").rename(folder)
    return read_skills(file, "workspace")


def remove(workspace: Workspace, name: str) -> list[str]:
    """
    Remove what was imported as *name*, and what its skills were granted; their names.

    Raises:
        NotFound: Nothing of that name was imported.
    """
    skills = workspace.skills_folder
    file, folder = skills / f"{_identifier(name)}.py", skills / name
    if _SAYS.format(name=name) not in _head_of(file):
        near = did_you_mean(name, [front.name for front in imported(skills)])
        hint = "`dino skill` shows those that were"
        raise NotFound(f"no skill {name!r} was imported{near}", hint=hint)
    names = [made.name for made in read_skills(file, "workspace")]
    take_back(workspace, names)
    with tempfile.TemporaryDirectory(dir=skills, prefix=".") as aside:
        with suppress(FileNotFoundError):
            folder.rename(Path(aside, "old"))
        file.unlink()
    return names


def imported(skills: Path) -> list[FrontMatter]:
    """What the folders in *skills* that were imported say of themselves, as far as they can."""
    found = []
    for path in sorted(skills.glob(f"*/{FILE}")):
        with suppress(InvalidInput, OSError, UnicodeDecodeError):
            found.append(read(path.read_text(encoding="utf-8"), path.parent.name))
    return found


def _refuse_taken(
    workspace: Workspace, text: str, file: Path, folder: Path, *, replace: bool
) -> None:
    there = file.exists() or folder.exists()
    ours = _MADE in _head_of(file)
    if there and not (ours and replace):
        raise InvalidInput(
            f"skills/{folder.name} or skills/{file.name} is there already",
            hint="--replace takes the place of one that was imported" if ours else None,
        )
    check_made(workspace, file, text)


def _head_of(file: Path) -> str:
    """The beginning of a file of skills, which says what it was made of; "" where there is none."""
    return file.read_text(encoding="utf-8", errors="replace")[:1000] if file.exists() else ""


def text_of(bundle: Bundle, may: May) -> str:
    """The file of skills for *bundle*."""
    front = bundle.front
    pins = {name: hashlib.sha256(content).hexdigest() for name, content in bundle.files.items()}
    own = f"skills/{front.name}"
    parts = [
        _HEAD.format(name=front.name),
        f"FOLDER = {own!r}\nPINS = {pprint.pformat(pins, width=100, sort_dicts=False)}\n",
        _reader(bundle, own, may),
    ]
    names: dict[str, str] = {}
    for script in scripts(bundle.files):
        name = f"{_identifier(front.name)}__{_identifier(PurePosixPath(script).stem)}"
        if name in names:
            raise SkillConflict(f"{names[name]} and {script} would both be the skill {name!r}")
        names[name] = script
        parts.append(_runner(bundle, name, script, own, may))
    return "\n\n".join(parts)


def scripts(files: Mapping[str, bytes]) -> list[str]:
    """Those below scripts/ that something here can run."""
    return [
        name
        for name in files
        if name.startswith("scripts/") and name.count("/") == 1 and _ending(name) in RUN_BY
    ]


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix


def _identifier(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "skill"
    return f"skill_{plain}" if plain[0].isdigit() or keyword.iskeyword(plain) else plain


def _reader(bundle: Bundle, own: str, may: May) -> str:
    front = bundle.front
    introduction = f"Read the instructions of the skill {front.name}, which says of itself"
    helps = {"file": f"{FILE}, or another file of the skill that it names."}
    said = docstring(introduction, front.description, helps)
    return (
        f"@skill(reads=[{own!r}], timeout={may.timeout!r}, idempotent=True)\n"
        f"def {_identifier(front.name)}(file: str = {FILE!r}) -> str:\n"
        f"    {said!r}\n    return _files.read(FOLDER, PINS, file)\n"
    )


def _runner(bundle: Bundle, name: str, script: str, own: str, may: May) -> str:
    front = bundle.front
    introduction = f"Run {script} of the skill {front.name}, which says of itself"
    helps = {"arguments": "Of its command line.", "text": "What it reads from standard input."}
    said = docstring(introduction, front.description, helps)
    asked: dict[str, Any] = {
        "reads": [own, *may.reads],
        "writes": list(may.writes),
        "reaches": list(may.reaches),
        "programs": True,
        "timeout": may.timeout,
    }
    mark = ", ".join(f"{what}={value!r}" for what, value in asked.items() if value)
    return (
        f"@skill({mark})\n"
        f"def {name}(arguments: list[str] | None = None, text: str = '') -> str:\n"
        f"    {said!r}\n    return _files.run(FOLDER, PINS, {script!r}, arguments or [], text)\n"
    )
