"""`dino offline changes`: the feed of changes that synchronising goes by."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.latent_cache import Change

_AT_ONCE = 1000
_LOOK_S = 60.0


@click.command(
    "changes",
    epilog=options.example(
        "dino offline changes --since 40",
        "dino offline changes --follow --json",
    ),
)
@click.option(
    "--since", type=click.IntRange(0), default=0, metavar="N", help="Only what came behind place N."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="So many at most.")
@click.option("-f", "--follow", is_flag=True, help="Go on as documents change, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One change per line, as JSON.")
@pass_workspace
def changes(
    workspace: Workspace, since: int, limit: int | None, follow: bool, as_json: bool
) -> None:
    """
    The documents that were changed, here or elsewhere, each once at the place of its last change.

    Places only grow: whoever keeps the last one goes on behind it with --since.
    """
    count = 0
    for change in _found(workspace, since, limit, follow=follow):
        count += 1
        if as_json:
            told = {"seq": change.seq, "id": change.id, "revs": change.revs}
            output.emit_json({**told, "deleted": change.deleted})
        else:
            output.say(_line(change))
    if not (count or as_json):
        output.say(f"nothing changed behind place {since}" if since else "nothing is kept yet")


def _found(
    workspace: Workspace, since: int, limit: int | None, *, follow: bool
) -> Iterator[Change]:
    if not (follow or workspace.documents_file.exists()):
        return
    store, left = workspace.documents, limit
    while left is None or left > 0:
        most = _AT_ONCE if left is None else min(left, _AT_ONCE)
        some = store.changes(since, limit=most)
        yield from some
        if some:
            since, left = some[-1].seq, None if left is None else left - len(some)
        elif not follow:
            return
        else:
            sys.stdout.flush()
            store.wait(since, _LOOK_S)


def _line(change: Change) -> str:
    others = len(change.revs) - 1
    marks = [
        *(["deleted"] if change.deleted else []),
        *([output.counted(others, "other leaf", "other leaves")] if others else []),
    ]
    return "  ".join((f"{change.seq:>6}", change.revs[0], change.id, *marks))
