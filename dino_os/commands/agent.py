"""`dino agent`: goals for a model to reach with skills, and what became of them."""

from __future__ import annotations

from dataclasses import replace

import click

from dino_os.agent_core.opening import require_library
from dino_os.commands import options, output
from dino_os.commands.agent_shown import COLUMNS, Shown, row, show_call, show_end, show_step
from dino_os.commands.ids import model_run
from dino_os.commands.skills import ask_first
from dino_os.commands.vault import open_to_screen
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace
from engines.checks import did_you_mean

run_argument = click.argument(
    "run", shell_complete=complete(lambda workspace: [r.id for r in workspace.agent_log.runs(50)])
)


@click.group(
    epilog=options.example('dino agent run "sum up the last cycle" --skills summary,send'),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def agent(ctx: click.Context, as_json: bool) -> None:
    """Goals for a model to reach with skills, and what became of them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_runs, show=15, as_json=as_json)


@agent.command(
    epilog=options.example(
        'dino agent run "which gauge is odd today?" --skills read_gauges,forecast',
        'dino agent run "tell the duty desk" --skills send --approve --local-only',
    )
)
@click.argument("goal")
@click.option(
    "--skills",
    metavar="NAMES",
    help="What it may call, with commas between.  [default: all; eight at once, it finds the rest]",
)
@click.option(
    "--max-steps",
    type=click.IntRange(min=1),
    help="So often is it asked.  [default: agent.max_steps]",
)
@click.option("--max-tokens", type=click.IntRange(min=1), help="Questions and answers together.")
@click.option("--timeout", type=options.DURATION, help="Of each call, for example 30s.")
@click.option("--approve", is_flag=True, help="Ask before each call.")
@click.option("--local-only", is_flag=True, help="No model outside this network is asked.")
@click.option(
    "--remember",
    is_flag=True,
    help="Recall earlier runs, and keep how this one ended.  [default: llm.memory.always]",
)
@options.as_json
@pass_workspace
def run(
    workspace: Workspace,
    goal: str,
    skills: str | None,
    max_steps: int | None,
    max_tokens: int | None,
    timeout: float | None,
    approve: bool,
    local_only: bool,
    remember: bool,
    as_json: bool,
) -> None:
    """
    Have a model reach a goal with skills, which run in the sandbox as with `dino run`.

    A call that changes something, talks to hosts or uses keys is put to you. Where nobody is at a
    terminal the run is put aside instead, with exit code 75, and `dino approve` goes on with it.
    """
    require_library()
    from dino_os.agent.limits import Limits  # noqa: PLC0415
    from dino_os.agent.running import run_goal  # noqa: PLC0415  with the library of models

    table = workspace.plugins.skills()
    named = [name.strip() for name in (skills or "").split(",") if name.strip()]
    if skills is not None and not named:
        raise click.UsageError("--skills names none; leave it out for all there are")
    for name in named:
        ask_first(workspace, table.find(name))
    open_to_screen(workspace)
    limits = Limits(
        max_steps or workspace.config.settings.agent.max_steps,
        max_tokens,
        timeout_s=timeout,
        ask_each=approve,
        local_only=local_only,
        remember=remember or workspace.config.settings.llm.memory.always,
    )
    names = [skill.name for skill in table]
    with Shown(quiet=as_json) as watch:
        for name in workspace.config.settings.agent.skills:
            if name not in names:  # a "deny" that keeps nothing
                near = did_you_mean(name, names)
                watch.note(f"agent.skills in config.yaml names no skill here: {name!r}{near}")
        ended = run_goal(workspace, goal, skills=named, limits=limits, watch=watch)
    show_end(ended, as_json=as_json)


@agent.command("list", epilog=options.example("dino agent list", "dino agent list --json"))
@options.show
@options.as_json
@pass_workspace
def list_runs(workspace: Workspace, show: int, as_json: bool) -> None:
    """Show the runs of models, the latest first, and what waits to be approved."""
    log = workspace.agent_log
    runs, waiting = log.runs(), log.waiting()
    if as_json:
        found = [run.as_dict() for run in runs]
        output.emit_json({"runs": found, "waiting": [one.as_dict() for one in waiting]})
        return
    shown, left_out = output.first_of(runs, show)
    if shown:
        output.table(COLUMNS, [row(run) for run in shown], numbers=("calls",))
    else:
        output.say("no model was run here yet")
    output.more(left_out, "run")
    if waiting:
        output.say(f"{output.counted(len(waiting), 'call')} to be approved: dino approve")


@agent.command("show", epilog=options.example("dino agent show 2835cab8"))
@run_argument
@options.as_json
@pass_workspace
def show_run(workspace: Workspace, run: str, as_json: bool) -> None:
    """Show what happened in a run, step by step; the beginning of its id will do."""
    log, run = workspace.agent_log, model_run(workspace, run)
    found, steps = log.run(run), log.steps(run)
    if as_json:
        told = {"goal": log.goal(run), "output": log.output(run)}
        output.emit_json({**found.as_dict(), **told, "steps": [one.as_dict() for one in steps]})
        return
    output.say(f"{found.kind} {run}: {found.outcome or found.state.value}")
    output.say(f"goal: {log.goal(run)}")
    for step in steps:
        show_step(step)
    if found.error:
        output.say(f"ended: {found.error}")
    if (said := log.output(run)) is not None:
        output.say(f"answer: {said}")


@agent.command("replay", epilog=options.example("dino agent replay 2835cab8"))
@run_argument
@options.as_json
@pass_workspace
def replay_run(workspace: Workspace, run: str, as_json: bool) -> None:
    """
    Go through a run again by its record alone: no model is asked, and no skill runs.

    Tells whether the same is asked and called, and comes to the same end; else, with exit code 1,
    at which step it goes another way.
    """
    require_library()
    from dino_os.agent.replay import replay  # noqa: PLC0415  as above

    found = replay(workspace, model_run(workspace, run))
    if as_json:
        output.emit_json(found.as_dict())
        return
    steps, calls = output.counted(found.steps, "step"), output.counted(found.calls, "call")
    output.say(f"the same: {steps}, {calls}, {found.end}")


@click.command(
    epilog=options.example(
        "dino approve", "dino approve 6d261cbc4323", "dino approve 6d261cbc4323 --deny"
    )
)
@click.argument(
    "approval",
    required=False,
    metavar="[ID]",
    shell_complete=complete(lambda workspace: [a.id for a in workspace.agent_log.waiting()]),
)
@click.option("--deny", is_flag=True, help="Refuse the call; the model is told.")
@options.as_json
@pass_workspace
def approve(workspace: Workspace, approval: str | None, deny: bool, as_json: bool) -> None:
    """
    Allow a call that a model's run waits for, and go on with the run; without an ID show them.

    What is allowed is this call, with these arguments, once.
    """
    if approval is None:
        list_waiting(workspace, deny=deny, as_json=as_json)
        return
    require_library()
    from dino_os.agent.approvals import decide  # noqa: PLC0415  as above

    open_to_screen(workspace)
    with Shown(quiet=as_json) as watch:
        ended = decide(workspace, approval, approved=not deny, watch=watch)
    if deny and ended.outcome == "denied":  # as they wanted it
        ended = replace(ended, error=None)
    show_end(ended, as_json=as_json)


def list_waiting(workspace: Workspace, *, deny: bool, as_json: bool) -> None:
    if deny:
        raise click.UsageError("--deny needs the ID of what is to be refused")
    log = workspace.agent_log
    waiting = [log.approval(one.id) for one in log.waiting()]
    if as_json:
        output.emit_json({"waiting": [one.as_dict() for one in waiting]})
    elif not waiting:
        output.say("nothing waits to be approved")
    for one in waiting if not as_json else ():
        show_call(one)
