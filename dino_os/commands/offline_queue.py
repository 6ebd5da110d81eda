"""`dino offline queue`: requests that wait for the network, or for somebody to look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.ids import begun
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.latent_cache import OfflineQueue, Queued

_STATES = ("waiting", "held", "dead", "expired", "dropped", "sent")
_NOT_ARRIVED = ("waiting", "held", "dead", "expired")


def _ids(*states: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def known(workspace: Workspace) -> list[str]:
        if not workspace.documents_file.exists():
            return []
        return [one.id for one in _found(workspace.requests, states)]

    return click.argument("request", shell_complete=complete(known))


def _found(queue: OfflineQueue, states: Sequence[str]) -> list[Queued]:
    looks = {
        "waiting": queue.waiting,
        "held": queue.held,
        "dead": queue.dead,
        "expired": queue.expired,
        "dropped": queue.dropped,
        "sent": queue.delivered,
    }
    return [one for state in states for one in looks[state]()]


@click.group(
    epilog=options.example("dino offline queue", "dino offline queue --state dead --json"),
    invoke_without_command=True,
)
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@options.show
@options.as_json
@click.pass_context
def queue(ctx: click.Context, state: str | None, show: int, as_json: bool) -> None:
    """Requests that wait for the network: what there is, by default all that has not arrived."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_requests, state=state, show=show, as_json=as_json)


@queue.command("list", epilog=options.example("dino offline queue list --state held"))
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@options.show
@options.as_json
@pass_workspace
def list_requests(workspace: Workspace, state: str | None, show: int, as_json: bool) -> None:
    """Show the requests, in the order in which they were queued."""
    states = (state,) if state else _NOT_ARRIVED
    there = workspace.documents_file.exists()
    found = _found(workspace.requests, states) if there else []
    if as_json:
        output.emit_json({"requests": [one.as_dict() for one in found]})
        return
    if not found:
        output.say(f"no request is {state}" if state else "no request waits")
        return
    shown, left = output.first_of(found, show)
    rows = [
        (
            one.id[:12],
            one.domain,
            f"{one.request.method} {one.request.path}",
            one.state,
            one.attempts,
            one.as_dict()["queued_at"],
            one.reason,
        )
        for one in shown
    ]
    columns = ("request", "domain", "what", "state", "attempts", "queued", "why")
    output.table(columns, rows, numbers=("attempts",))
    output.more(left, "request")


def _verb(
    name: str, help_text: str, done: str, states: tuple[str, ...], does: Callable[..., None]
) -> None:
    @queue.command(name, help=help_text, epilog=options.example(f"dino offline queue {name} 5f0c"))
    @_ids(*states)
    @options.as_json
    @pass_workspace
    def verb(workspace: Workspace, request: str, as_json: bool) -> None:
        found = _find(workspace.requests, request)
        does(workspace, found.id)
        now = workspace.requests.find(found.id)
        output.answer(now.as_dict(), f"{found.id} {done}", as_json=as_json)


def _find(queue: OfflineQueue, request: str) -> Queued:
    """The request of that id, or the one whose id begins so."""
    known = (one.id for one in _found(queue, _STATES))
    return queue.find(begun(known, request, "requests", listed=5))


def _release(workspace: Workspace, id_: str) -> None:
    # Read before: what is revoked in between is heeded.
    number = workspace.nav.last_number()
    workspace.requests.release(id_, number=number)


_verb(
    "retry",
    "Try a request once more that is dead, expired or dropped.",
    "is tried again",
    ("dead", "expired", "dropped"),
    lambda workspace, id_: workspace.requests.requeue(id_),
)
_verb(
    "drop",
    "Take a request out: it is not to be sent any more.",
    "is dropped",
    ("waiting", "held", "dead", "expired"),
    lambda workspace, id_: workspace.requests.drop(id_),
)
_verb(
    "release",
    "Let a request that is held be sent.",
    "may be sent",
    ("held",),
    _release,
)
_verb(
    "approve",
    "As release: somebody has looked at it, and it may be sent.",
    "may be sent",
    ("held",),
    _release,
)
_verb(
    "hold",
    "Keep a request back until somebody releases it.",
    "is held",
    ("waiting",),
    lambda workspace, id_: workspace.requests.hold(id_, "held by hand"),
)
