"""`dino ask`: one question to a language model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.ask_words import note, show, told, wanted_by, whom
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput, ModelUnavailable
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.agent_core.session import Answer, Wanted

_MOST_BYTES = 4 * 2**20
_QUEUED = 75
_FILE = "--- "  # begins what a file holds


@click.command(
    epilog=options.example(
        'dino ask "Which of these alarms can wait?" --file alarms.csv',
        "journalctl -n 200 | dino ask --file - 'What went wrong?' --local-only",
        "dino ask 'Summarise the week' --queue --json",
    )
)
@click.argument("prompt", required=False)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Goes with the question; - is standard input.",
)
@whom
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Show the answer as it comes.  [default: on a terminal]",
)
@click.option("--queue", is_flag=True, help="Where nobody can be asked now, ask later (exit 75).")
@click.option(
    "--remember",
    is_flag=True,
    help="Recall what was asked before, and keep this.  [default: llm.memory.always]",
)
@options.as_json
@click.pass_context
@pass_workspace
def ask(
    workspace: Workspace,
    ctx: click.Context,
    prompt: str | None,
    files: tuple[Path, ...],
    stream: bool | None,
    queue: bool,
    remember: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """
    Ask a language model: the providers of `llm.providers`, in their order, those near by first.

    Without PROMPT, or where it is -, the question is read from standard input.  What was asked and
    answered is on record, with what it cost.
    """
    text = _question(prompt, files)
    wanted = wanted_by(workspace, given)
    if stream is None:
        stream = sys.stdout.isatty() and not as_json
    try:
        if remember or workspace.config.settings.llm.memory.always:
            _remembering(workspace, text, wanted, stream=stream, as_json=as_json)
        else:
            _ask(workspace, text, wanted, stream=stream, as_json=as_json)
    except ModelUnavailable as error:
        if not queue and not workspace.config.settings.llm.queue_offline:
            raise
        kept = {name: value for name, value in given.items() if value not in (None, (), False)}
        from dino_os.agent_core.opening import screen_of  # noqa: PLC0415  where one is queued

        screen = screen_of(workspace)
        by, why = workspace.operator, error.message
        id_ = workspace.llm_queue.queue(
            screen.outgoing(text), screen.texts(_plain(kept)), by=by, reason=why
        )
        document = {"queued": id_, "outcome": "queued", "reason": error.message}
        words = f"queued as {id_}: {error.message}\n`dino llm queue show {id_}` has the answer then"
        output.answer(document, words, as_json=as_json)
        ctx.exit(_QUEUED)


def _remembering(workspace: Workspace, text: str, wanted: Wanted, **how: bool) -> None:
    """As `_ask`, with what is remembered of it behind the question; the answer is kept."""
    from dino_os.agent.memory import recall, remember  # noqa: PLC0415  for those who want it

    found = recall(workspace, text)
    run, answer = _ask(workspace, found.behind(text), wanted, **how)
    outside = found.untrusted or _FILE in text
    remember(workspace, run, prompt=text, answer=answer.text, recalled=found, untrusted=outside)


def _ask(
    workspace: Workspace, text: str, wanted: Wanted, *, stream: bool, as_json: bool
) -> tuple[str, Answer]:
    from dino_os.agent_core.session import Session  # noqa: PLC0415  where something is asked

    with Session(workspace, "ask", text, wanted, note=note) as session:
        if stream:
            show(session.stream(text), as_json=as_json)
        else:
            session.say(text)
    answer = session.answer
    assert answer is not None  # noqa: S101  else it raised
    if as_json:
        output.emit_json(told(session.run, answer))
    elif not stream:
        output.say(answer.text)
    return session.run, answer


def _question(prompt: str | None, files: tuple[Path, ...]) -> str:
    names = [str(file) for file in files]
    if names.count("-") + (prompt in {None, "-"}) > 1:
        raise click.UsageError("standard input is read once: for the question or for --file -")
    asked = _read("-") if prompt in {None, "-"} else str(prompt)
    if not asked.strip():
        raise InvalidInput("there is no question", hint='dino ask "…", or text on standard input')
    parts = [f"{_FILE}{name} ---\n{_read(name).rstrip()}\n--- end of {name} ---" for name in names]
    return "\n\n".join([asked.rstrip("\n"), *parts])


def _read(name: str) -> str:
    """
    The text of a file.

    Raises:
        InvalidInput: It is none, or too long for any model.
    """
    if name == "-":
        if sys.stdin.isatty():
            click.echo("the question, then Ctrl-D:", err=True)
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        name = "standard input"
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise InvalidInput(f"{name}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"{name}: more than {_MOST_BYTES // 2**20} MiB are no prompt")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{name}: not a text (UTF-8)") from None


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}
