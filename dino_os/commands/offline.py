"""`dino offline`: what waits for the network, synchronising, serving, drills."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import click

from dino_os.commands import offline_shown, options, output
from dino_os.commands.offline_attachments import attachments
from dino_os.commands.offline_changes import changes
from dino_os.commands.offline_documents import DOCUMENT_COMMANDS
from dino_os.commands.offline_queue import queue
from dino_os.commands.offline_upkeep import UPKEEP_COMMANDS
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

_QUEUED = 75


@click.group(
    epilog=options.example("dino offline", "dino offline sync", "dino offline simulate --hours 24"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def offline(ctx: click.Context, as_json: bool) -> None:
    """Documents and requests that do without the network, and come together again with it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_status, as_json=as_json)


@offline.command("status", epilog=options.example("dino offline status --json"))
@options.as_json
@pass_workspace
def show_status(workspace: Workspace, as_json: bool) -> None:
    """What is here, what waits, when the remote was last reached, what the last drill proved."""
    from dino_os.offline.status import status_of  # noqa: PLC0415

    found = status_of(workspace)
    if as_json:
        output.emit_json(found)
    else:
        offline_shown.show_status(found)


@offline.command(
    epilog=options.example("dino offline sync", "dino offline sync --direction pull --json")
)
@click.option("--remote", metavar="URL", help="Another database.  [default: cache.remote]")
@click.option(
    "--direction",
    type=click.Choice(["both", "push", "pull"]),
    help="Which way.  [default: cache.direction]",
)
@click.option(
    "--only",
    type=click.Choice(["documents", "requests"]),
    help="Leave the others for another time.",
)
@options.as_json
@pass_workspace
def sync(
    workspace: Workspace,
    remote: str | None,
    direction: str | None,
    only: str | None,
    as_json: bool,
) -> None:
    """
    Synchronise the documents with a CouchDB-protocol server, and send the requests that wait.

    Exits 75 where a server was not reached: everything is kept, and goes with the next one.
    Exits 1 where one refused documents or requests.
    """
    from dino_os.offline.syncing import Syncing, send_waiting  # noqa: PLC0415

    sent = None if only == "documents" else send_waiting(workspace)
    syncing = Syncing(workspace, remote=remote, direction=direction)
    # Requests alone are something to do as well.
    documents = only != "requests" and (syncing.is_configured or sent is None)
    outcomes = syncing.once() if documents else []
    if as_json:
        output.emit_json({"synchronised": outcomes, "requests": sent})
    else:
        offline_shown.show_sync(outcomes, sent)
    later = bool(sent and sent["later"])
    if later or not all(outcome["reached"] for outcome in outcomes):
        click.get_current_context().exit(_QUEUED)
    if (sent and sent["dead"]) or not all(outcome["ok"] for outcome in outcomes):
        click.get_current_context().exit(1)


@offline.command(
    epilog=options.example(
        "dino offline serve",
        "dino offline serve --origin https://app.example --key desk",
        "dino offline serve --port 0 --read-only --json",
    )
)
@options.listening(5984)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Pages from there may call it, as https://app.example.",
)
@click.option("--read-only", is_flag=True, help="Refuse whatever would change a document.")
@click.option("--key", metavar="NAME", help="The password is this key of the vault.")
@click.option("--json", "as_json", is_flag=True, help="Say where it is as a JSON document.")
@pass_workspace
def serve(
    workspace: Workspace,
    host: str,
    port: int,
    names: tuple[str, ...],
    origins: tuple[str, ...],
    read_only: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """
    Serve the documents as /cache in CouchDB's protocol until interrupted, for PouchDB and others.

    Without --key the password is drawn anew each time, and shown once.  There is no TLS: what
    listens beyond this machine belongs behind something that has it.
    """
    from dino_os.offline.server import Options  # noqa: PLC0415
    from dino_os.offline.serving import serve as serve_documents  # noqa: PLC0415

    def begun(url: str, password: str | None) -> None:
        document = {"url": url, "user": "dino", "read_only": read_only, "origins": [*origins]}
        shown = f"password {password}" if password else f"its password is the key {key}"
        if password:
            document["password"] = password
        output.answer(document, f"the documents are at {url}, user dino, {shown}", as_json=as_json)
        sys.stdout.flush()

    asked = Options(host, port, names, origins, read_only, workspace.key(key) if key else None)
    serve_documents(workspace, asked, begun)


@offline.command(
    epilog=options.example(
        "dino offline simulate", "dino offline simulate --hours 2 --seed 7 --operations 200 --json"
    )
)
@click.option(
    "--hours", type=options.Within(0.1, 1000), default=24.0, show_default=True, metavar="N"
)
@click.option("--seed", type=click.IntRange(0), metavar="N", help="[default: drawn, and shown]")
@click.option(
    "--operations",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    metavar="N",
    help="About how many edits and requests.",
)
@options.as_json
@pass_workspace
def simulate(
    workspace: Workspace, hours: float, seed: int | None, operations: int, as_json: bool
) -> None:
    """
    Work through hours without a network, reconnect, and prove that nothing was lost or doubled.

    On a virtual clock, in a folder of its own: edits on both sides, conflicts, attachments and
    queued requests go over real sockets through a proxy that cuts, drops, delays, resets and
    truncates.  Exits 1 where something was lost, came twice, or differs.
    """
    import secrets  # noqa: PLC0415

    from dino_os.offline.simulate import Simulation  # noqa: PLC0415

    drawn = secrets.randbelow(2**32) if seed is None else seed
    simulation = Simulation(workspace, hours=hours, seed=drawn, operations=operations)
    result = simulation.run(_watched)
    if as_json:
        output.emit_json(result.as_dict())
    else:
        offline_shown.show_simulation(result)
    if not result.ok:
        click.get_current_context().exit(1)


def _watched(turns: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
    return output.progress(turns, "drill")


for _command in (queue, attachments, changes, *DOCUMENT_COMMANDS, *UPKEEP_COMMANDS):
    offline.add_command(_command)
