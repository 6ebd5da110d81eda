"""`dino chat`: questions and answers that follow each other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.ask_words import note, show, told, wanted_by, whom
from dino_os.commands.ids import model_run
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import DinoError
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.agent_core.session import Session

_WORDS_TO_LEAVE = frozenset({"/quit", "/exit"})
_RECENT = 50


def _runs(workspace: Workspace) -> list[str]:
    return [run.id for run in workspace.agent_log.runs(_RECENT) if run.kind in {"ask", "chat"}]


@click.command(
    epilog=options.example(
        "dino chat --local-only",
        "dino chat --continue 5f0c8b21",
        "printf 'What is a tide?\\nAnd a neap tide?\\n' | dino chat",
    )
)
@click.option(
    "--continue",
    "continued",
    metavar="RUN",
    shell_complete=complete(_runs),
    help="Go on from what was said in that run; the beginning of its id will do.",
)
@whom
@options.as_json
@pass_workspace
def chat(workspace: Workspace, continued: str | None, as_json: bool, **given: Any) -> None:
    """
    Talk with a language model, line by line, until the end of the input or /quit.

    Each line is a question that knows what was said before.  With --json an answer is a line.
    """
    from dino_os.agent_core.session import Session  # noqa: PLC0415  where something is asked

    wanted = wanted_by(workspace, given)
    parent = model_run(workspace, continued) if continued else None
    history = _said_in(workspace, parent) if parent else []
    lines = _lines()
    first = next(lines, None)
    if first is None:
        return
    with Session(
        workspace, "chat", first, wanted, history=history, parent=parent, note=note
    ) as session:
        try:
            _turn(session, first, as_json=as_json)
            for line in lines:
                _turn(session, line, as_json=as_json)
        except KeyboardInterrupt:
            output.say()
            raise
        finally:
            if _is_talk():
                again = f"`dino chat --continue {session.run[:8]}` goes on from here"
                click.echo(f"dino: {again}", err=True)


def _turn(session: Session, line: str, *, as_json: bool) -> None:
    """One question; on a terminal a failed one is said, and may be asked again."""
    try:
        if as_json:
            session.say(line)
        else:
            show(session.stream(line), as_json=False)
    except DinoError as error:
        if not _is_talk():
            raise
        hint = f"\n      {error.hint}" if error.hint else ""
        note(f"{error.message}{hint}")
        return
    if as_json and session.answer:
        output.emit_json(told(session.run, session.answer))


def _lines() -> Iterator[str]:
    """What somebody types or pipes in, without empty lines."""
    if _is_talk():
        with contextlib.suppress(ImportError):  # keys that move and recall, where there are any
            import readline  # noqa: F401, PLC0415
    while True:
        try:
            line = input("> ") if _is_talk() else sys.stdin.readline()
        except EOFError:
            output.say()
            return
        if not line and not _is_talk():
            return
        line = line.strip()
        if line in _WORDS_TO_LEAVE:
            return
        if line:
            yield line


def _is_talk() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _said_in(workspace: Workspace, run: str) -> list[Any]:
    from dino_os.agent_core.messages import from_record  # noqa: PLC0415  with the library
    from dino_os.agent_core.opening import require_library  # noqa: PLC0415  as above

    require_library()
    return from_record(workspace.agent_log.messages(run))
