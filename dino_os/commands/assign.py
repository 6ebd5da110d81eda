"""`dino assign`: who does what, how good the plan is, why, and what would change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.assign import AgentProfile, AssignmentPlan

_task = click.argument(
    "task", shell_complete=complete(lambda workspace: list(workspace.assignments.last_assigned))
)


@click.group(
    epilog=options.example(
        "dino assign plan duty.yaml", "dino assign explain T-7", "dino assign whatif --hours Ada=6"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def assign(ctx: click.Context, as_json: bool) -> None:
    """Who does what: the best plan with its bound, why, and what would change it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@assign.command("status", epilog=options.example("dino assign status --json"))
@options.show
@options.as_json
@pass_workspace
def status(workspace: Workspace, show: int, as_json: bool) -> None:
    """The last plan: its value, what the best may be worth at most, and who does what."""
    engine = workspace.assignments
    engine.refresh()
    _render(engine.last_plan, show, as_json=as_json)


@assign.command(
    "plan",
    epilog=options.example(
        "dino assign plan duty.yaml --time-limit 10s", "dino assign plan --cycle 3"
    ),
)
@options.file_argument("file", required=False)
@click.option("--cycle", type=click.IntRange(min=1), metavar="N", help="The tasks of cycle N.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N assignments.")
@click.option(
    "--min-skill-match",
    type=options.SHARE,
    default=0.0,
    metavar="SHARE",
    help="Share of a task's skills its agent must have.",
)
@click.option("--method", type=click.Choice(["auto", "greedy"]), default="auto", show_default=True)
@click.option(
    "--time-limit", type=options.DURATION, help="Go on looking for better plans, for example 10s."
)
@click.option("--stable", is_flag=True, help="Begin with the last plan; no change without gain.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@options.show
@options.as_json
@pass_workspace
def plan(
    workspace: Workspace,
    file: Path | None,
    cycle: int | None,
    method: str,
    show: int,
    as_json: bool,
    **given: Any,
) -> None:
    """Plan the tasks of FILE, or those of a past cycle, and record it."""
    from dino_os.planning.duty import duty_of_cycle, load_duty  # noqa: PLC0415

    if (file is None) == (cycle is None):
        raise click.UsageError("name a FILE, or a cycle with --cycle")
    duty = load_duty(file) if file else duty_of_cycle(workspace, cycle or 0)
    rules = None if method == "greedy" and not duty.rules.as_dict() else duty.rules
    found = workspace.assignments.decide(
        duty.tasks, duty.agents, rules=rules, method=method, **given
    )
    _render(found, show, as_json=as_json)


@assign.command("explain", epilog=options.example("dino assign explain T-7"))
@_task
@options.as_json
@pass_workspace
def explain(workspace: Workspace, task: str, as_json: bool) -> None:
    """Why the last plan gave TASK to whom it did, or to nobody, and what would change that."""
    found = workspace.assignments.explain(task)
    if as_json:
        output.emit_json(found.as_dict())
        return
    output.heading(f"{task}: {', '.join(found.agents) or 'nobody'}")
    output.say(found.reason)
    if found.parts is not None:
        parts = " + ".join(f"{name} {part:.2f}" for name, part in found.parts.items())
        output.say(f"score {found.score:.2f} = {parts}")
        output.say(f"the bound counts an hour of {found.agents[0]} at {found.price:.3f}")
    if found.alternatives:
        rows = [(a.agent, f"{a.score:.2f}", _cost(a.cost, a.exact)) for a in found.alternatives]
        output.table(("instead", "score", "would cost"), rows, numbers=("score", "would cost"))
    if found.obstacles:
        obstacles = [(o.agent, o.cause.replace("_", " "), o.change) for o in found.obstacles]
        output.table(("agent", "in its way", "it could, if"), obstacles)
    if found.smallest:
        output.say(f"smallest change: {found.smallest}")


def _cost(cost: float | None, exact: bool) -> str:
    if cost is None:
        return "cannot be"
    return f"{cost:.4f}" if exact else f"about {cost:.4f}"


@assign.command(
    "whatif",
    epilog=options.example(
        "dino assign whatif --add-agent 'Bo:pump,check:8' --remove-agent Ada",
        "dino assign whatif --hours Ada=6 --forbid T-7=Ada --pin T-8=Bo",
    ),
)
@click.option(
    "--add-agent", "added", multiple=True, metavar="NAME:SKILL,…:HOURS", help="Somebody more."
)
@click.option("--remove-agent", "removed", multiple=True, metavar="NAME")
@click.option("--hours", multiple=True, metavar="AGENT=N", help="Other hours for an agent.")
@click.option("--forbid", multiple=True, metavar="TASK=AGENT")
@click.option("--pin", multiple=True, metavar="TASK=AGENT")
@options.as_json
@pass_workspace
def whatif(
    workspace: Workspace,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    hours: tuple[str, ...],
    forbid: tuple[str, ...],
    pin: tuple[str, ...],
    as_json: bool,
) -> None:
    """What the last plan would be with other agents, hours or pairs; records nothing."""
    from engines.assign import Changes  # noqa: PLC0415

    changes = Changes(
        tuple(_agent(text) for text in added),
        removed,
        {name: _number(text, "--hours") for name, text in (_pair(t, "--hours") for t in hours)},
        tuple(_pair(text, "--forbid") for text in forbid),
        tuple(_pair(text, "--pin") for text in pin),
    )
    found = workspace.assignments.what_if(changes)
    if as_json:
        output.emit_json(found.as_dict())
        return
    output.say(
        f"value {found.before.value:.4f} → {found.after.value:.4f} ({found.gain:+.4f}); "
        f"{len(found.before.decisions):,} → {len(found.after.decisions):,} assignments"
    )
    rows = [
        (task, ", ".join(old) or "nobody", ", ".join(new) or "nobody")
        for task, (old, new) in found.moved.items()
    ]
    if rows:
        output.table(("task", "now", "then"), rows)
    else:
        output.say("every task stays where it is")


@assign.command(
    "feedback", epilog=options.example("dino assign feedback reject T-7 --reason 'too far away'")
)
@click.argument("verdict", type=click.Choice(["accept", "reject"]))
@_task
@click.option("--reason", metavar="TEXT")
@options.as_json
@pass_workspace
def feedback(
    workspace: Workspace, verdict: str, task: str, reason: str | None, as_json: bool
) -> None:
    """Say whether the last plan's choice for TASK was right; `dino assign weights` learns."""
    accepted = verdict == "accept"
    workspace.assignments.feedback(task, accepted=accepted, reason=reason)
    document = {"task": task, "accepted": accepted, "reason": reason}
    output.answer(document, f"{task}: {verdict}ed, recorded", as_json=as_json)


@assign.command(
    "weights", epilog=options.example("dino assign weights --learn", "dino assign weights --revert")
)
@click.option("--learn", is_flag=True, help="Learn from the feedback on record.")
@click.option("--revert", is_flag=True, help="Go back to the weights before the last change.")
@options.as_json
@pass_workspace
def weights(workspace: Workspace, learn: bool, revert: bool, as_json: bool) -> None:
    """What counts how much when scores are made: now, before, and by how much feedback."""
    if learn and revert:
        raise click.UsageError("--learn and --revert cannot both be")
    engine = workspace.assignments
    engine.refresh()
    lesson = engine.learn() if learn else None
    if revert:
        engine.revert_weights()
    history = [each.as_dict() for each in engine.weights_history]
    if as_json:
        output.emit_json(
            {
                "weights": history[-1],
                "before": history[-2::-1],
                "feedback": len(engine.feedback_given),
                "lesson": lesson.as_dict() if lesson else None,
            }
        )
        return
    names = list(history[-1])
    rows = [
        ("now" if not back else f"{back} before", *(f"{each[name]:.3f}" for name in names))
        for back, each in enumerate(reversed(history))
    ]
    output.table(("weights", *names), rows, numbers=names)
    if lesson:
        output.say(
            f"from {output.counted(lesson.observations, 'observation')}: mean loss "
            f"{lesson.loss_before:.3f} → {lesson.loss_after:.3f}"
        )


def _render(plan: AssignmentPlan, show: int, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(
            {
                **plan.summary(),
                "assignments": [decision.as_dict() for decision in plan.decisions],
                "unassigned": [task.as_dict() for task in plan.unassigned],
                "prices": dict(plan.prices),
            }
        )
        return
    if not plan.decisions and not plan.unassigned:
        output.say("nothing is planned; `dino assign plan FILE` plans")
        return
    shown, left = output.first_of(list(plan.decisions), show)
    rows = [(d.task_id, d.agent, f"{d.confidence:.2f}", d.rationale) for d in shown]
    output.table(("task", "agent", "score", "why"), rows, numbers=("score",))
    output.more(left, "assignment")
    if plan.unassigned:
        tasks, more = output.first_of(list(plan.unassigned), show)
        output.table(("left over", "why"), [(task.task_id, task.reason) for task in tasks])
        output.more(more, "task")
    output.say(quality(plan))


def quality(plan: AssignmentPlan) -> str:
    """What a plan is worth, and what the best one may be worth at most."""
    text = f"value {plan.value:.4f}"
    if plan.bound is None:
        return f"{text}; no bound was made"
    if plan.optimal:
        return f"{text}: proven best"
    cut = "" if plan.finished else "; the time limit cut the search off"
    gap = "" if plan.gap is None else f" (gap {plan.gap:.2%})"
    return f"{text}; no plan is worth more than {plan.bound:.4f}{gap}{cut}"


def _pair(text: str, option: str) -> tuple[str, str]:
    first, equals, second = text.rpartition("=")
    if not equals or not first.strip() or not second.strip():
        raise InvalidInput(f"{option}: expected NAME=VALUE, found {text!r}")
    return first.strip(), second.strip()


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{option}: expected hours, found {text!r}") from None


def _agent(text: str) -> AgentProfile:
    from engines.assign import AgentProfile  # noqa: PLC0415

    match text.split(":"):
        case [name, skills, hours]:
            return AgentProfile(name, tuple(skills.split(",")), _number(hours, "--add-agent"))
    raise InvalidInput(
        f"--add-agent: expected NAME:SKILL,…:HOURS, found {text!r}",
        hint="for example --add-agent 'Bo:pump,check:8'",
    )
