"""`dino llm queue`: questions that wait until a model can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.ask_words import wanted_by
from dino_os.commands.ids import begun
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.agent_core.queue import LlmQueue, Queued

_STATES = ("waiting", "answered", "given_up", "dropped")
_OF_A_PROMPT = 50


def _ids(workspace: Workspace) -> list[str]:
    return [one.id for one in workspace.llm_queue.all()]


_question = click.argument("question", shell_complete=complete(_ids))


@click.group(
    epilog=options.example("dino llm queue", "dino llm queue --state answered --json"),
    invoke_without_command=True,
)
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@options.show
@options.as_json
@click.pass_context
def queue(ctx: click.Context, state: str | None, show: int, as_json: bool) -> None:
    """Questions that wait until a model can be asked, and those that were answered."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_questions, state=state, show=show, as_json=as_json)


@queue.command("list", epilog=options.example("dino llm queue list --state waiting"))
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@options.show
@options.as_json
@pass_workspace
def list_questions(workspace: Workspace, state: str | None, show: int, as_json: bool) -> None:
    """Show the questions: those that wait, oldest first, then those that ended, latest first."""
    found = [one for one in workspace.llm_queue.all() if state in (None, one.state)]
    if as_json:
        output.emit_json({"questions": [one.as_dict() for one in found]})
        return
    if not found:
        output.say(f"no question is {state}" if state else "no question is queued")
        return
    shown, left = output.first_of(found, show)
    rows = [
        (
            one.id,
            one.state,
            one.attempts,
            one.as_dict()["queued_at"],
            output.on_one_line(one.prompt, _OF_A_PROMPT),
            one.reason,
        )
        for one in shown
    ]
    columns = ("question", "state", "attempts", "queued", "what", "why")
    output.table(columns, rows, numbers=("attempts",))
    output.more(left, "question")


@queue.command(epilog=options.example("dino llm queue show 5f0c"))
@_question
@options.as_json
@pass_workspace
def show(workspace: Workspace, question: str, as_json: bool) -> None:
    """Show a question and what came of it."""
    one = _find(workspace.llm_queue, question)
    text = one.answer if one.answer is not None else f"{one.state}: {one.reason or 'not asked yet'}"
    output.answer(one.as_dict(), text, as_json=as_json)


@queue.command(epilog=options.example("dino llm queue run", "dino llm queue run --wait 30s"))
@click.option("--all", "all_", is_flag=True, help="Also what is not due yet.")
@click.option("--wait", type=options.DURATION, help="Wait so long for one who is at it already.")
@options.as_json
@pass_workspace
def run(workspace: Workspace, all_: bool, wait: float | None, as_json: bool) -> None:
    """Ask what is due, as the service does by itself (`dino scheduler start`)."""
    from dino_os.agent_core.sending import send  # noqa: PLC0415  where something is asked

    wanted_by(workspace, {})
    sent = send(workspace, wait_s=wait or 0.0, all_=all_)
    text = f"{sent.answered} answered, {sent.failed} failed, {sent.given_up} given up"
    output.answer(sent.as_dict(), f"{text}, {sent.waiting} waiting", as_json=as_json)


@queue.command(epilog=options.example("dino llm queue drop 5f0c"))
@_question
@options.as_json
@pass_workspace
def drop(workspace: Workspace, question: str, as_json: bool) -> None:
    """Take a question out: it is not to be asked any more."""
    one = _find(workspace.llm_queue, question)
    workspace.llm_queue.drop(one.id, by=workspace.operator)
    dropped = workspace.llm_queue.find(one.id)
    output.answer(dropped.as_dict(), f"{one.id} is dropped", as_json=as_json)


def _find(queue: LlmQueue, begins: str) -> Queued:
    """The question of that id, or the one whose id begins so."""
    return queue.find(begun((one.id for one in queue.all()), begins, "questions"))
