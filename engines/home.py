"""
Where the workspace is, for whoever names no place.

The one module of the engines that looks at the environment: code that writes `ResourceEngine()`
means the workspace that the command line would find.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.durable import create_file, make_folder

if TYPE_CHECKING:
    from engines.journal import Journal

_VARIABLE = "DINO_HOME"


def workspace_root(start: Path | None = None) -> Path:
    """`$DINO_HOME`, else the nearest folder up from *start* with a config.yaml, else *start*."""
    if home := os.environ.get(_VARIABLE):
        return Path(home)
    here = (start or Path.cwd()).resolve()
    return next((f for f in (here, *here.parents) if (f / "config.yaml").is_file()), here)


def identity(memory: Path) -> str:
    """What tells the workspace of that folder from every other; made when its first journal is."""
    file = memory / "workspace-id"
    with contextlib.suppress(FileNotFoundError):
        return file.read_text().strip()
    make_folder(memory)
    with contextlib.suppress(FileExistsError):  # the first to name it wins
        create_file(file, f"{os.urandom(16).hex()}\n".encode())
    return file.read_text().strip()


def own_journal(
    name: str, path: str | Path | None = None, *, clock: Callable[[], float] | None = None
) -> Journal:
    """The journal at *path*, or the workspace's own of that name."""
    from engines.journal import Journal  # noqa: PLC0415  who asks where the workspace is needs none

    given: dict[str, Any] = {"clock": clock} if clock else {}
    if path is not None:
        return Journal(path, **given)
    memory = workspace_root() / "memory"
    return Journal(
        memory / f"{name}.jsonl", origin=lambda: {"workspace": identity(memory)}, **given
    )
