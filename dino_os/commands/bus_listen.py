"""`dino bus listen`: what is said, as it is said."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.bus_words import message_line
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace
from engines.checks import time_text

if TYPE_CHECKING:
    from dino_os.message_bus import Delivery

_PATIENCE_S = 1.0


@click.command(
    epilog=options.example(
        "dino bus listen 'orders.*.paid'",
        "dino bus listen 'sensors.>' --json | jq .message",
        "dino bus listen 'orders.>' --durable billing --limit 10",
    )
)
@click.argument("subject", shell_complete=complete(lambda w: w.bus.list_channels()))
@click.option("--limit", type=click.IntRange(1), metavar="N", help="End after so many.")
@click.option(
    "--durable",
    metavar="NAME",
    help="Go on where the one of that name was; what was said meanwhile comes too.",
)
@click.option("--group", metavar="NAME", help="Of those in the group one gets each message.")
@click.option(
    "--start",
    metavar="WHERE",
    help="Where a new --durable or --group begins: new, all, a message's number, or a time.",
)
@options.as_json
@pass_workspace
def listen(
    workspace: Workspace,
    subject: str,
    limit: int | None,
    durable: str | None,
    group: str | None,
    start: str | None,
    as_json: bool,
) -> None:
    """
    Print what is said on SUBJECT until Ctrl-C, a message a line.

    `*` stands for one part between dots, `>` for all the rest.  With --durable or --group a message
    counts as heard once it was printed.
    """
    shown = _Shown(limit, as_json=as_json)
    lasting = {"durable": durable, "group": group, "start": _start(start)}
    if asked := {name: value for name, value in lasting.items() if value is not None}:
        if not (durable or group):
            raise click.UsageError("--start goes with --durable or --group")
        workspace.bus.consume(subject, shown.take, ack="explicit", **asked)
    else:
        workspace.bus.subscribe(subject, shown.take)
    if not as_json and sys.stderr.isatty():
        click.echo(f"dino: listening to {subject}; Ctrl-C ends it", err=True)
    try:
        shown.wait()
    finally:
        shown.end()
        workspace.bus.close()


class _Shown:
    """What was printed; ends after *limit* messages, or when nobody reads any more."""

    def __init__(self, limit: int | None, *, as_json: bool) -> None:
        self._left = limit
        self._as_json = as_json
        self._ended = threading.Event()
        self._failed: OSError | None = None
        self._guard = threading.Lock()

    def take(self, message: Any, delivery: Delivery) -> None:
        with self._guard:
            if self._ended.is_set():
                return  # what is durable is heard by the next
            try:
                self._print(message, delivery)
            except OSError as error:
                self._failed = error
                self._ended.set()
                return
            delivery.ack()
            if self._left is not None:
                self._left -= 1
                if not self._left:
                    self._ended.set()

    def wait(self) -> None:
        self._ended.wait()
        if self._failed:
            raise self._failed

    def end(self) -> None:
        """Print nothing any more: Python cannot leave while a thread is at it."""
        if self._guard.acquire(timeout=_PATIENCE_S):
            self._ended.set()
            self._guard.release()

    def _print(self, message: Any, delivery: Delivery) -> None:
        document = {
            "seq": delivery.seq,
            "channel": delivery.channel,
            "message": message,
            "id": delivery.id,
            "headers": delivery.headers,
            "published": time_text(delivery.stored.published),
            "attempt": delivery.attempt,
        }
        if self._as_json:
            output.emit_json(document)
        else:
            output.say(message_line(document))
        sys.stdout.flush()


def _start(text: str | None) -> Any:
    """As `subscribe` takes it."""
    if text is None or text in {"new", "all"}:
        return text
    if text.isdecimal():
        return int(text)
    from datetime import UTC, datetime  # noqa: PLC0415

    from dino_os.commands.log import Moment  # noqa: PLC0415

    return datetime.fromtimestamp(Moment().convert(text, None, None), UTC)
