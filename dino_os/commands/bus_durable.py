"""`dino bus subscriptions|dead|redeliver|forget`: who hears durably, and what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import NotFound
from dino_os.workspace import Workspace
from engines.checks import did_you_mean

_name_argument = click.argument(
    "durable",
    metavar="NAME",
    shell_complete=complete(lambda w: [one["name"] for one in w.bus.subscriptions()]),
)


@click.command(epilog=options.example("dino bus subscriptions --json"))
@options.as_json
@pass_workspace
def subscriptions(workspace: Workspace, as_json: bool) -> None:
    """
    The durable subscriptions: how many messages wait, are under way, were given up.

    That of a skill is called skill:NAME and a few letters for the subject.  It is orphaned when no
    skill hears it any more: its messages wait until the skill is back, or `dino bus forget`.
    """
    from dino_os.message_bus.hearers import hearers  # noqa: PLC0415

    found = hearers(workspace)
    if as_json:
        output.emit_json({"subscriptions": found})
    elif found:
        subscription_table(found)
    else:
        output.say("nobody subscribed durably")


@click.command(epilog=options.example("dino bus dead", "dino bus dead billing --json"))
@click.argument(
    "durable",
    metavar="[NAME]",
    required=False,
    shell_complete=complete(lambda w: [one["name"] for one in w.bus.subscriptions()]),
)
@options.show
@options.as_json
@pass_workspace
def dead(workspace: Workspace, durable: str | None, show: int, as_json: bool) -> None:
    """The dead letters of one subscription, or of all: messages that were given up, and why."""
    found = _letters(workspace, durable)
    if as_json:
        output.emit_json({"dead": found})
        return
    shown, left = output.first_of(found, show)
    if not shown:
        output.say("no dead letters")
        return
    rows = [
        (one["subscription"], one["seq"], one["channel"] or "", one["given_up"], one["error"])
        for one in shown
    ]
    output.table(
        ("subscription", "message", "channel", "given up", "why"), rows, numbers=["message"]
    )
    output.more(left, "dead letter")


@click.command(
    epilog=options.example("dino bus redeliver billing 41", "dino bus redeliver skill:ship --all")
)
@_name_argument
@click.argument("seqs", nargs=-1, type=click.IntRange(0), metavar="[MESSAGE]...")
@click.option("--all", "everything", is_flag=True, help="Every dead letter that it has.")
@options.as_json
@pass_workspace
def redeliver(
    workspace: Workspace, durable: str, seqs: tuple[int, ...], everything: bool, as_json: bool
) -> None:
    """Have dead letters delivered again, by the numbers that `dino bus dead` shows."""
    if bool(seqs) == everything:
        raise click.UsageError("name messages, or --all")
    letters = [(one["subscription"], one["seq"]) for one in _letters(workspace, durable)]
    wanted = {seq for _, seq in letters} if everything else set(seqs)
    done = [seq for name, seq in letters if seq in wanted and workspace.bus.redeliver(name, seq)]
    left = sorted(wanted.difference(done))
    if as_json:
        output.emit_json({"redelivered": done, "unknown": left})
    else:
        output.say(f"{output.counted(len(done), 'message')} will be delivered again")
        for seq in left:
            output.say(f"{seq}: no dead letter")


@click.command(epilog=options.example("dino bus forget billing", "dino bus forget skill:ship"))
@_name_argument
@options.as_json
@pass_workspace
def forget(workspace: Workspace, durable: str, as_json: bool) -> None:
    """
    End a durable subscription: what waits in it and its dead letters are dropped.

    What was said stays on record.  `skill:NAME` ends all of that skill's; one whose skill is there
    begins anew with a service's next turn.
    """
    names = _named(workspace, durable)
    gone = [name for name in names if workspace.bus.forget(name)]
    output.answer({"forgotten": gone}, f"forgotten: {', '.join(gone)}", as_json=as_json)


def subscription_table(found: Sequence[dict[str, Any]]) -> None:
    if not found:
        return
    numbers = ("waits", "under way", "dead")
    rows = [
        (
            *(one["name"], one["subject"], one["group"] or "", one["state"]),
            *(one["backlog"] - one["in_flight"], one["in_flight"], one["dead_letters"]),
        )
        for one in found
    ]
    output.table(("subscription", "subject", "group", "state", *numbers), rows, numbers=numbers)


def _named(workspace: Workspace, durable: str) -> list[str]:
    """
    The subscriptions that are meant.

    Raises:
        NotFound: None is.
    """
    known = [one["name"] for one in workspace.bus.subscriptions()]
    found = [name for name in known if name == durable or name.startswith(f"{durable}:")]
    if not found:
        raise NotFound(
            f"no subscription {durable!r}{did_you_mean(durable, known)}",
            hint="`dino bus subscriptions` shows them",
        )
    return found


def _letters(workspace: Workspace, durable: str | None) -> list[dict[str, Any]]:
    names = [None] if durable is None else _named(workspace, durable)
    return [letter for name in names for letter in workspace.bus.dead_letters(name)]


DURABLE_COMMANDS = (subscriptions, dead, redeliver, forget)
