"""`dino bus`: say something, hear what is said, read what was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime

import click

from dino_os.commands import options, output
from dino_os.commands.bus_durable import DURABLE_COMMANDS, subscription_table
from dino_os.commands.bus_listen import listen
from dino_os.commands.bus_words import as_text, message_line, read_json
from dino_os.commands.log import Moment
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

_READ_AT_ONCE = 1 << 16

_channel_argument = click.argument(
    "channel", shell_complete=complete(lambda w: w.bus.list_channels())
)


@click.group(
    epilog=options.example(
        "dino bus publish orders.7.paid '{\"total\": 12.5}'",
        "dino bus listen 'orders.*.paid'",
        "dino bus history 'orders.>' --limit 20",
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def bus(ctx: click.Context, as_json: bool) -> None:
    """The message bus: say something on a channel, hear it, read what was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@bus.command(epilog=options.example("dino bus status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """How much was said, who hears it, how far they are, and what nobody could take."""
    from dino_os.message_bus.hearers import hearers  # noqa: PLC0415
    from dino_os.scheduler.serving import Serving  # noqa: PLC0415

    found = hearers(workspace)
    channels = workspace.bus.list_channels()
    served = Serving(workspace.memory).pid() is not None
    if as_json:
        output.emit_json({"channels": len(channels), "served": served, "subscriptions": found})
        return
    output.say(
        f"{output.counted(len(channels), 'channel')}, "
        f"{output.counted(len(found), 'durable subscription')}"
    )
    subscription_table(found)
    if any(one["skill"] for one in found) and not served:
        output.say("no service runs, so no skill hears anything; `dino scheduler start` is one")


@bus.command(
    epilog=options.example(
        "dino bus publish orders.7.paid '{\"total\": 12.5}' --id invoice-4711",
        "sensor-reader | dino bus publish sensors.mole --lines",
    )
)
@_channel_argument
@click.argument("message", metavar="JSON", required=False)
@click.option("--id", "id_", metavar="ID", help="A second message with it is not delivered.")
@click.option("--header", "headers", multiple=True, metavar="K=V", help="Told beside the message.")
@click.option("--lines", is_flag=True, help="Each line of standard input is a message.")
@options.as_json
@pass_workspace
def publish(
    workspace: Workspace,
    channel: str,
    message: str | None,
    id_: str | None,
    headers: tuple[str, ...],
    lines: bool,
    as_json: bool,
) -> None:
    """
    Say JSON on CHANNEL; without it, or with -, what standard input says.

    It is recorded when the command returns.
    """
    from dino_os.message_bus.publishing import Draft  # noqa: PLC0415

    if not lines:
        text = sys.stdin.buffer.read() if message is None or message == "-" else message
        said = read_json(text, "the message")
        draft = Draft.of(channel, said, id_, _headers(headers))
        new = len(workspace.bus.say([draft]))
        text = f"said on {channel}" if new else f"{id_!r} was said on {channel} before: not again"
        output.answer({"published": new}, text, as_json=as_json)
        return
    if message is not None or id_ is not None or headers:
        raise click.UsageError("--lines takes its messages from standard input, and nothing else")
    count = _publish_lines(workspace, channel)
    output.answer(
        {"published": count},
        f"{output.counted(count, 'message')} said on {channel}",
        as_json=as_json,
    )


@bus.command(
    epilog=options.example(
        "dino bus history orders.7.paid", "dino bus history 'orders.>' --since 2h"
    )
)
@_channel_argument
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, metavar="N")
@click.option("--since", type=Moment(), help="From this time on: RFC 3339, a date, or an age (2h).")
@options.as_json
@pass_workspace
def history(
    workspace: Workspace, channel: str, limit: int, since: float | None, as_json: bool
) -> None:
    """
    The last messages on CHANNEL, oldest first.

    `*` stands for one part between dots, `>` for all the rest.
    """
    found = workspace.bus.channel_history(channel, limit=limit)
    if since is not None:
        found = [m for m in found if datetime.fromisoformat(m["published"]).timestamp() >= since]
    if as_json:
        output.emit_json({"subject": channel, "messages": found})
        return
    for one in found:
        output.say(message_line(one))
    if not found:
        output.say("nothing was said there")


@bus.command(epilog=options.example("dino bus channels --json"))
@options.as_json
@pass_workspace
def channels(workspace: Workspace, as_json: bool) -> None:
    """The channels on which something was said."""
    found = workspace.bus.list_channels()
    if as_json:
        output.emit_json({"channels": found})
    else:
        output.say("\n".join(found) or "nothing was ever said here")


@bus.command(epilog=options.example('dino bus request prices.btc \'{"in": "EUR"}\' --timeout 2s'))
@_channel_argument
@click.argument("message", metavar="JSON")
@click.option(
    "--timeout", "timeout_s", type=options.DURATION, default="5s", show_default=True, metavar="TIME"
)
@options.as_json
@pass_workspace
def request(
    workspace: Workspace, channel: str, message: str, timeout_s: float, as_json: bool
) -> None:
    """
    Ask on CHANNEL and print the first answer.

    Exits with 124 where nobody answered in time.
    """
    found = workspace.bus.request(channel, read_json(message, "the message"), timeout=timeout_s)
    if as_json:
        output.emit_json({"channel": channel, "answer": found})
    else:
        output.say(as_text(found))


for _command in (listen, *DURABLE_COMMANDS):
    bus.add_command(_command)


def _headers(given: tuple[str, ...]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--header: expected K=V, found {one!r}")
        if name in found:
            raise InvalidInput(f"--header: {name!r} is there twice")
        found[name] = value
    return found or None


def _publish_lines(workspace: Workspace, channel: str) -> int:
    """
    Say what each line of standard input says, as it comes; how many there were.

    Raises:
        InvalidInput: One is not JSON; those before it were said.
    """
    count = 0
    for lines in _lines():
        said = []
        try:
            for number, line in lines:
                said.append((channel, read_json(line, f"line {number}")))
        except InvalidInput as error:
            workspace.bus.publish_many(said)
            before = output.counted(count + len(said), "message")
            raise InvalidInput(f"{error.message}; {before} said", hint=error.hint) from None
        workspace.bus.publish_many(said)
        count += len(said)
    return count


def _lines() -> Iterator[list[tuple[int, bytes]]]:
    """The numbered lines that are there by now, again and again; blank ones say nothing."""
    number, rest = 0, b""
    while data := os.read(sys.stdin.fileno(), _READ_AT_ONCE):
        *whole, rest = (rest + data).split(b"\n")
        yield [(number + n, line) for n, line in enumerate(whole, 1) if line.strip()]
        number += len(whole)
    if rest.strip():
        yield [(number + 1, rest)]
