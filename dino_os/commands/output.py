"""
What people see: tables and progress on a terminal, plain text in a pipe, JSON where asked.

Data goes to standard output, talk to standard error.  Rich draws; it is imported by the first
table, so that a command which prints none does not wait for it.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, TypeVar

import click

T = TypeVar("T")

_PIPE_WIDTH = 10_000  # nothing is cut or wrapped where a program reads
_QUIET_S = 2.0
_WATCH_S = 1.0
_unprintable = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """*text* without what could move the cursor, recolour or reorder a terminal's content."""
    return _unprintable.sub(_picture, text)


def emit_json(document: Any) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str))


def say(text: str = "") -> None:
    """A line of text on standard output."""
    click.echo(printable(text))


def answer(document: Any, text: str, *, as_json: bool) -> None:
    """What a command did: the document where JSON is asked for, else the text."""
    if as_json:
        emit_json(document)
    else:
        say(text)


def heading(text: str) -> None:
    click.echo(click.style(printable(text), bold=True) if _coloured() else printable(text))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()
) -> None:
    """Print rows under their headings; columns named in *numbers* are set flush right."""
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    drawn = Table(
        box=box.SIMPLE_HEAD if on_terminal else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold" if _coloured() else "",
    )
    for column in columns:
        drawn.add_column(
            column,
            justify="right" if column in numbers else "left",
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(Text(printable(str(value))) for value in row))
    console = Console(
        width=None if on_terminal else _PIPE_WIDTH, highlight=False, no_color=not _coloured()
    )
    if on_terminal:
        console.print(drawn)
    else:
        for line in console.render_lines(drawn, pad=False):
            click.echo("".join(segment.text for segment in line).rstrip())


def live(look: Callable[[], T], render: Callable[[T], None], *, watch: bool, as_json: bool) -> None:
    """Show what *look* finds, with *watch* anew each second until Ctrl-C; as JSON one a line."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            found = look()
            if watch and sys.stdout.isatty() and not as_json:
                click.clear()
            if as_json:
                emit_json(found)
            else:
                render(found)
            if not watch:
                return
            sys.stdout.flush()
            time.sleep(_WATCH_S)


def on_one_line(text: str, most: int) -> str:
    """*text* without its line breaks, and no longer than *most* characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def first_of(items: Sequence[T], count: int) -> tuple[Sequence[T], int]:
    """The first *count* of *items* (all where it is 0), and how many are left out."""
    shown = items[:count] if count else items
    return shown, len(items) - len(shown)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 zone`, `2 zones`; *plural* where an s is not enough."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def more(left_out: int, noun: str, plural: str | None = None) -> None:
    if left_out:
        say(f"… and {counted(left_out, noun, plural)} (--show 0 shows all)")


def watch(items: Iterable[T], what: str) -> Iterable[T]:
    """Hand *items* on; past two seconds a bar on the terminal's standard error shows how far."""
    if not sys.stderr.isatty():
        return items
    return _watched(items, what)


@contextlib.contextmanager
def progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Hand out what is told of each further step; past two seconds a bar shows how far."""
    began, done, show = time.monotonic(), 0, None

    def step(more: int) -> None:
        nonlocal done, show
        done += more
        if show is None and sys.stderr.isatty() and time.monotonic() - began > _QUIET_S:
            show = _bar(what, total)
        if show:
            show(done)

    try:
        yield step
    finally:
        if show:
            show(None)


def _watched(items: Iterable[T], what: str) -> Iterator[T]:
    total = len(items) if isinstance(items, Sized) else None
    began, show = time.monotonic(), None
    for count, item in enumerate(items):
        if show is None and time.monotonic() - began > _QUIET_S:
            show = _bar(what, total)
        if show and count % 256 == 0:
            show(count)
        yield item
    if show:
        show(None)


def _bar(what: str, total: int | None) -> Callable[[int | None], None]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    progress = Progress(console=Console(stderr=True, no_color=not _coloured()), transient=True)
    job = progress.add_task(printable(what), total=total)
    progress.start()

    def show(count: int | None) -> None:
        if count is None:
            progress.stop()
        else:
            progress.update(job, completed=count)

    return show


def _coloured() -> bool:
    import os  # noqa: PLC0415  asked where something is about to be drawn

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"  # noqa: PLR2004  Unicode control pictures
