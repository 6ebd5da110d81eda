"""What an installed package brings for an engine, by an entry point of a group of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engines.errors import DinoError


def the_installed(group: str, what: str, error: type[DinoError]) -> Callable[..., Any] | None:
    """
    The one function that is installed in *group*; None where there is none.

    Args:
        what: What the packages do, as in "several packages WHAT".
        error: What is raised where there are several, or the one there is cannot be loaded.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  where nobody handed it in

    # An installation may be listed twice, as itself and as the folder that it is edited in.
    found = {point.value: point for point in entry_points(group=group)}
    if not found:
        return None
    if len(found) > 1:
        raise error(f"several packages {what}: {', '.join(sorted(found))}")
    [point] = found.values()
    try:
        made: Callable[..., Any] = point.load()
    except Exception as failed:
        raise error(f"{point.value}: cannot be loaded: {failed}") from failed
    return made
