"""`dino sandbox`: what holds unknown code here, and leave to run without."""

from __future__ import annotations

import sys

import click

from dino_os.commands import options, output
from dino_os.commands.grants import skill_argument
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import NotConfined
from dino_os.workspace import Workspace


@click.group(
    invoke_without_command=True, epilog=options.example("dino sandbox", "dino sandbox status")
)
@click.pass_context
@options.as_json
def sandbox(ctx: click.Context, as_json: bool) -> None:
    """
    What holds unknown code here.

    Every skill and tool runs behind all of these walls; without a subcommand, shows which stand.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@sandbox.command(epilog=options.example("dino sandbox status", "dino sandbox status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """Try each wall and show which stand; exit 3 where nothing holds unknown code."""
    from dino_os.tool_sandbox.trial import try_walls  # noqa: PLC0415

    found = try_walls(workspace.root)
    if as_json:
        output.emit_json(found.as_dict())
    else:
        rows = [(wall.name, "stands" if wall.stands else "missing", wall.detail) for wall in found]
        output.table(("wall", "here", "what it does"), rows)
        output.say(f"\n{found.verdict}")
    if not found.holds:
        if as_json:
            sys.exit(NotConfined.exit_code)
        raise NotConfined(found.verdict, hint=found.hint)


@sandbox.command(
    epilog=options.example('dino sandbox override forecast --because "old kernel, trusted author"')
)
@skill_argument
@click.option("--because", required=True, metavar="TEXT", help="Why; it is recorded.")
@options.as_json
@pass_workspace
def override(workspace: Workspace, skill: str, because: str, as_json: bool) -> None:
    """
    Let this version of a skill run where no sandbox can be made.

    Where one can be made it is used all the same. `dino revoke SKILL` takes the leave back.
    """
    found = workspace.plugins.skills().find(skill)
    workspace.admission.override(found, because, by=workspace.operator)
    output.answer(
        {"skill": skill, "because": because},
        f"{skill} may run where no sandbox can be made: {because}",
        as_json=as_json,
    )
