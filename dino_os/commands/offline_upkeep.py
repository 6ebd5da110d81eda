"""`dino offline compact|purge`: giving back room, and forgetting a document for good."""

from __future__ import annotations

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import NotFound
from dino_os.workspace import Workspace


@click.command(
    "compact",
    epilog=options.example("dino offline compact", "dino offline compact --forget 90d --json"),
)
@click.option(
    "--forget",
    type=options.DURATION,
    help="Also forget deletions, and what has expired, where that was so long ago.",
)
@options.as_json
@pass_workspace
def compact(workspace: Workspace, forget: float | None, as_json: bool) -> None:
    """
    Give back the room of what has expired and of attachments that no document names.

    With --forget, replicas that were not synchronised for so long may bring deleted documents back.
    """
    found = {"expired": 0, "forgotten": 0, "attachments": 0, "bytes": 0}
    if workspace.documents_file.exists():
        found = workspace.documents.compact(forget_s=forget)
    told = [
        f"{output.counted(found['expired'], 'document')} expired",
        f"{found['forgotten']:,} forgotten",
        f"{output.counted(found['attachments'], 'attachment')} removed",
        f"the file is {found['bytes']:,} bytes smaller",
    ]
    output.answer(found, "; ".join(told), as_json=as_json)


@click.command("purge", epilog=options.example("dino offline purge station"))
@click.argument("document")
@options.as_json
@pass_workspace
def purge(workspace: Workspace, document: str, as_json: bool) -> None:
    """
    Forget DOCUMENT here, its history and its deletion included.

    Nobody else is told: where it was replicated to it stays, and a change there brings it back.
    """
    if not (workspace.documents_file.exists() and workspace.documents.purge(document)):
        raise NotFound(f"nothing is known of {document!r}")
    output.answer({"purged": document}, f"{document} is forgotten here", as_json=as_json)


UPKEEP_COMMANDS = (compact, purge)
