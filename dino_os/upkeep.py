"""What is done behind commands and now and then: packing, signing what is due, pruning."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from dino_os.workspace import Workspace


def after_writing(workspace: Workspace) -> None:
    """
    Compress what was sealed and sign what is due.

    Neither may fail the command, which is done: what is left undone is done after the next.
    """
    written = [journal for journal in workspace.opened if journal.wrote]
    with _no_more_than_said("sealed files were not packed"):
        if workspace.config.settings.memory.compress:
            for journal in written:
                journal.compress_sealed()
    with _no_more_than_said("no checkpoint was made"):
        if workspace.signing_key.exists():
            from dino_os.auditing import checkpoint_if_due  # noqa: PLC0415

            own = {"checkpoints", "witness"}  # each signature adds to them
            checkpoint_if_due(workspace, [j.path for j in written if j.name not in own])


def now_and_then(workspace: Workspace) -> None:
    """What a service does besides, about once a minute: remove what no limit keeps."""
    with _no_more_than_said("the bus was not pruned"):
        if workspace.config.settings.bus.channels:
            from dino_os.retention import prune_bus  # noqa: PLC0415  only where there are limits

            prune_bus(workspace)


@contextlib.contextmanager
def _no_more_than_said(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever it is, the command did not do it
        print(f"dino: {what}: {error}", file=sys.stderr)  # noqa: T201
