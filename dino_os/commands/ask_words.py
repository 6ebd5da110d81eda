"""What `dino ask` and `dino chat` share: whom to ask, and how what comes back is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dino_os.commands import output
from dino_os.commands.vault import open_to_screen
from dino_os.commands.workspace import complete
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.agent_core.session import Answer, Wanted

F = TypeVar("F", bound=Callable[..., Any])


def _providers(workspace: Workspace) -> list[str]:
    return [one.name for one in workspace.config.settings.llm.providers]


def whom(command: F) -> F:
    """Options that say whom to ask, and how."""
    shared = (
        click.option("--local-only", is_flag=True, help="Only this machine and its network."),
        click.option(
            "--provider", shell_complete=complete(_providers), help="Only that one of the settings."
        ),
        click.option("--model", help="Instead of the provider's own."),
        click.option("--system", metavar="TEXT", help="What stands before the first question."),
        click.option(
            "--label",
            "labels",
            multiple=True,
            help="What is said is that: llm.private_to_local keeps some near by.",
        ),
        click.option(
            "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Of an answer, at most."
        ),
    )
    for option in reversed(shared):
        command = option(command)
    return command


def wanted_by(workspace: Workspace, options: dict[str, Any]) -> Wanted:
    """What the options of `whom` say; the vault is made ready where there is one."""
    from dino_os.agent_core.session import Wanted  # noqa: PLC0415  where something is asked

    open_to_screen(workspace)
    return Wanted(**options)


def note(text: str) -> None:
    """What somebody should know, though there is an answer."""
    click.echo(f"dino: {output.printable(text)}", err=True)


def show(pieces: Iterator[str], *, as_json: bool) -> None:
    """Pieces of an answer as they come; as JSON one a line."""
    ends_line = True
    try:
        for piece in pieces:
            if as_json:
                output.emit_json({"text": piece})
            else:
                sys.stdout.write(output.printable(piece))
                ends_line = piece.endswith("\n")
            sys.stdout.flush()
    finally:  # why it ends early is told on a line of its own
        if not as_json and not ends_line:
            output.say()


def told(run: str, answer: Answer) -> dict[str, Any]:
    """The document for an answer."""
    return {"run": run, "outcome": "ok", **answer.as_dict()}
