"""What a workspace has offline: documents, what waits, the remote, the last drill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dino_os.offline.syncing import Syncing
from engines.checks import time_text

if TYPE_CHECKING:
    from dino_os.workspace import Workspace


def status_of(workspace: Workspace) -> dict[str, Any]:
    """All of it as JSON; looking makes no store where there is none."""
    log = workspace.offline_log
    log.refresh()
    syncing = Syncing(workspace)
    settings = workspace.config.settings.cache
    there = workspace.documents_file.exists()
    return {
        **(_documents(workspace) if there else {"documents": 0, "deleted": 0, "conflicts": 0}),
        "queue": workspace.requests.status() if there else {},
        "remote": syncing.url or None,
        "direction": settings.direction,
        "continuous": settings.continuous,
        "to_push": syncing.to_push() if there and syncing.is_configured else None,
        "syncs": {name: _timed(facts) for name, facts in log.syncs.items()},
        "failing_since": {name: time_text(at) for name, at in log.failing_since.items()},
        "simulation": _timed(log.simulation) if log.simulation else None,
    }


def _documents(workspace: Workspace) -> dict[str, int]:
    store = workspace.documents
    found = store.info()
    return {
        "documents": found["doc_count"],
        "deleted": found["doc_del_count"],
        "conflicts": len(store.conflicts()),
    }


def _timed(facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "at": time_text(facts["at"])}
