"""`audit log`: read the journals."""

from __future__ import annotations

import heapq
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import journals_argument, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.units import seconds
from dino_os.workspace import Workspace

_PAUSE_S = 0.25

Line = tuple[float, str, int, bytes, Any]
"""Time, journal, number, bytes and event: in the order in which they are merged."""


class Moment(click.ParamType[float]):
    """A point in time: RFC 3339, a date, or how long ago (90s, 30m, 2h, 3d)."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            stamp = datetime.fromisoformat(value)
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            pass
        try:
            return time.time() - seconds(value, "time")
        except InvalidInput:
            self.fail(
                f"{value!r} is neither a time (2026-11-21T08:00Z) nor an age (2h)", param, ctx
            )


@click.command(
    epilog=options.example(
        "audit log zones --type zone_event --since 2h",
        "audit log --grep Mission --json | less",
        "audit log runs --follow",
    )
)
@journals_argument()
@click.option("--type", "kinds", multiple=True, metavar="TYPE", help="Only events of this type.")
@click.option("--since", type=Moment(), help="From this time on: RFC 3339, a date, or an age (2h).")
@click.option("--until", type=Moment(), help="Up to this time.")
@click.option("--grep", metavar="REGEX", help="Only lines that match.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="The last N; 0 for all.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on as new events come.")
@click.option("--json", "as_json", is_flag=True, help="One event per line, as it was recorded.")
@pass_workspace
def log(
    workspace: Workspace,
    journals: tuple[str, ...],
    kinds: tuple[str, ...],
    since: float | None,
    until: float | None,
    grep: str | None,
    lines: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what was recorded, oldest first, in one journal or all of them by time."""
    wanted = _filter(frozenset(kinds), since, until, grep)
    show = _show_json if as_json else _show_text
    with_names = len(journals) != 1
    readers = _readers(workspace, journals)
    everything = not (kinds or grep or since is not None or until is not None)
    if everything and lines:
        for reader in readers.values():
            reader.skip_to_last(lines)
    merged: Iterator[Line] = filter(wanted, heapq.merge(*(_read(*r) for r in readers.items())))
    for line in deque(merged, maxlen=lines) if lines else merged:
        show(line, with_names)
    while follow:
        time.sleep(_PAUSE_S)  # for new events: there is no other sign of them on every file system
        for line in filter(wanted, heapq.merge(*(_read(*r) for r in readers.items()))):
            show(line, with_names)


class _Reader:
    """A journal, and how far it was read."""

    def __init__(self, journal: Any) -> None:
        self._journal = journal
        self._here = journal.begin()
        self._last: list[Any] = []

    def skip_to_last(self, count: int) -> None:
        """Pass over what lies before the last *count* lines, without reading it."""
        self._last = self._journal.tail_blocks(count)

    def blocks(self) -> Iterator[Any]:
        """What was not read yet."""
        last, self._last = self._last, []
        for block in last or self._journal.blocks(self._here):
            self._here = block.behind
            yield block


def _readers(workspace: Workspace, names: tuple[str, ...]) -> dict[str, _Reader]:
    from engines.journal import RecordedJournal  # noqa: PLC0415

    return {p.stem: _Reader(RecordedJournal(p)) for p in workspace.named_journals(names)}


def _read(name: str, reader: _Reader) -> Iterator[Line]:
    for block in reader.blocks():
        for line, event in zip(block.lines, block.events, strict=True):
            yield event["timestamp"], name, event["seq"], line, event


def _filter(
    kinds: frozenset[str], since: float | None, until: float | None, grep: str | None
) -> Callable[[Line], bool]:
    try:
        pattern = re.compile(grep.encode()) if grep else None
    except re.error as error:
        raise InvalidInput(f"--grep {grep!r} is not a regular expression: {error}") from None

    def wanted(line: Line) -> bool:
        at, _, _, text, event = line
        return (
            (not kinds or event["event_type"] in kinds)
            and (since is None or at >= since)
            and (until is None or at <= until)
            and (pattern is None or pattern.search(text) is not None)
        )

    return wanted


def _show_json(line: Line, _: bool) -> None:
    click.echo(line[3])


def _show_text(line: Line, with_name: bool) -> None:
    from engines.journal import RESERVED  # noqa: PLC0415

    at, name, seq, _, event = line
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6]
    facts = " ".join(
        f"{key}={_short(value)}" for key, value in event.items() if key not in RESERVED
    )
    journal = f"{name}:" if with_name else ""
    output.say(f"{stamp}Z  {journal}{seq}  {event['event_type']}  {facts}")


def _short(value: Any) -> str:
    if isinstance(value, str) and value and not re.search(r"[\s=\"]", value):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
