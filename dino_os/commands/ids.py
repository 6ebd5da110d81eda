"""Ids that people need not write out."""

from __future__ import annotations

from collections.abc import Iterable

from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace


def begun(known: Iterable[str], begins: str, what: str, *, listed: int = 0) -> str:
    """
    The id of *known* that begins so; *begins* itself where none does.

    Args:
        what: Whose ids they are, as "runs".
        listed: How many are named where several begin so.

    Raises:
        InvalidInput: Several begin so.
    """
    found = [one for one in known if one.startswith(begins)]
    if len(found) > 1:
        some = ", ".join(one[:12] for one in found[:listed])
        raise InvalidInput(
            f"{begins!r} begins the ids of {len(found)} {what}",
            hint="give more of it" + (f": {some}" if some else ""),
        )
    return found[0] if found else begins


def model_run(workspace: Workspace, begins: str) -> str:
    """
    The run of a model whose id begins so.

    Raises:
        InvalidInput: None does, or several do.
    """
    log = workspace.agent_log
    return log.run(begun((run.id for run in log.runs()), begins, "runs")).id
