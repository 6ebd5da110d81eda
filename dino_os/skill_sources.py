"""
The text that runs when a skill does: its file, and those beside it that it imports.

Read once, hashed, and handed to the sandbox as it was read: what was granted is what runs, whatever
becomes of the files in the meantime.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path

from dino_os.errors import InvalidInput
from dino_os.skill_index import Skill


@dataclass(frozen=True, slots=True)
class Sources:
    """
    Attributes:
        sha256: Of the skill's file where it stands alone, else of all their names and hashes.
        texts: Path → text, the skill's own file first.
    """

    sha256: str
    texts: dict[str, str]


def read_sources(skill: Skill) -> Sources:
    """
    Read what *skill* runs.

    Raises:
        InvalidInput: A file cannot be read, or changed since it was listed.
    """
    texts: dict[str, str] = {}
    hashes: dict[str, str] = {}
    waiting = [skill.file]
    while waiting:
        file = waiting.pop(0)
        if str(file) in texts:
            continue
        try:
            code = file.read_bytes()
            texts[str(file)] = decode_source(code)
            tree = ast.parse(code)
        except OSError as error:
            raise InvalidInput(f"{file}: {error.strerror}") from None
        except (SyntaxError, ValueError) as error:
            raise InvalidInput(f"{file}: {error}") from None
        except (RecursionError, MemoryError):
            raise InvalidInput(f"{file}: nested too deeply") from None
        hashes[file.name] = hashlib.sha256(code).hexdigest()
        waiting += _beside(file.parent, tree)
    if hashes[skill.file.name] != skill.sha256:
        raise InvalidInput(f"{skill.file.name} was changed in this very moment; run it again")
    return Sources(_digest(hashes, skill), texts)


def _beside(folder: Path, tree: ast.Module) -> Iterator[Path]:
    """The files in *folder* that an import anywhere in *tree* can mean."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            found = folder / f"{name.removeprefix(f'{folder.name}.')}.py"
            if "." not in found.stem and found.is_file() and _lies_in(folder, found):
                yield found


def _lies_in(folder: Path, file: Path) -> bool:
    """A link could hand the skill any file that the operator can read."""
    return file.resolve().parent == folder.resolve()


def _digest(hashes: dict[str, str], skill: Skill) -> str:
    if len(hashes) == 1:
        return skill.sha256
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
