"""Which installed packages offer plugins: read from their metadata, none is imported."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points

_GROUP = "dino"


def installed_plugins() -> list[EntryPoint]:
    """The entry points of the group `dino`; none where DINO_NO_PLUGINS is set."""
    if os.environ.get("DINO_NO_PLUGINS"):
        return []
    return sorted(entry_points(group=_GROUP), key=lambda entry: entry.name)
