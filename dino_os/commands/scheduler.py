"""`dino scheduler`: what shall run when, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dino_os.commands import options, output, scheduler_service
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])
_MISFIRES = ("fire_once", "skip", "fire_all")
_OVERLAPS = ("skip", "queue_one", "queue_all", "cancel_other", "allow")
_PRIORITIES = ("critical", "high", "normal", "low")
_SCOPES = ("cluster", "node")

_job_name = click.argument(
    "name", shell_complete=complete(lambda w: [job["name"] for job in w.jobs.list_jobs()])
)
_skill_name = click.argument(
    "skill", shell_complete=complete(lambda w: [skill.name for skill in w.plugins.skills()])
)


@click.group(
    epilog=options.example(
        "dino scheduler", "dino scheduler add tide hello --cron '0 9 * * mon-fri'"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def scheduler(ctx: click.Context, as_json: bool) -> None:
    """What shall run when: jobs, their due times, and what became of them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@scheduler.command(epilog=options.example("dino scheduler status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """The jobs, next due first, and whether something runs them."""
    from dino_os.scheduler.serving import Serving  # noqa: PLC0415

    pid = Serving(workspace.memory).pid()
    jobs = sorted(workspace.jobs.list_jobs(), key=lambda job: job["next_run"] or "~")
    if as_json:
        output.emit_json({"service_pid": pid, "jobs": jobs})
        return
    serving = "no service runs" if pid is None else f"served by process {pid or '?'}"
    output.say(f"{output.counted(len(jobs), 'job')}; {serving}")
    if jobs:
        _table(jobs)
    if pid is None and jobs:
        output.say("`dino scheduler start` serves them, or `dino scheduler crontab` by cron")


@scheduler.command("list", epilog=options.example("dino scheduler list --json"))
@options.as_json
@pass_workspace
def list_jobs(workspace: Workspace, as_json: bool) -> None:
    """Every job with its trigger and policies, in the order in which they were added."""
    jobs = workspace.jobs.list_jobs()
    if as_json:
        output.emit_json({"jobs": jobs})
    elif not jobs:
        output.say("no jobs yet; `dino scheduler add NAME SKILL --every 15m` makes one")
    else:
        rows = [
            (
                *(job["name"], job["func"], job["owner"] or "", _when(job["trigger"])),
                *(job["status"], _policies(job)),
            )
            for job in jobs
        ]
        output.table(("job", "runs", "owner", "when", "status", "policies"), rows)


def _policy_options(command: F) -> F:
    choice = click.Choice
    for option in reversed(
        [
            click.option("--misfire", type=choice(_MISFIRES), help="Times that were missed."),
            click.option("--misfire-limit", type=int, metavar="N", help="At most so many of them."),
            click.option("--grace", "grace_s", metavar="TIME", help="Up to here late is no miss."),
            click.option(
                "--catchup-window", "catchup_window_s", metavar="TIME", help="Older ones are lost."
            ),
            click.option(
                "--catchup-spread", "catchup_spread_s", metavar="TIME", help="Spread over this."
            ),
            click.option("--overlap", type=choice(_OVERLAPS), help="The last run is not done."),
            click.option("--jitter", "jitter_s", metavar="TIME", help="Start up to so much later."),
            click.option(
                "--start-deadline", "start_deadline_s", metavar="TIME", help="Not later than this."
            ),
            click.option("--max-attempts", type=int, metavar="N", help="Tries of each run."),
            click.option("--timeout", "timeout_s", metavar="TIME", help="Of each try."),
            click.option("--priority", type=choice(_PRIORITIES), help="Of its tasks."),
            click.option("--scope", type=choice(_SCOPES), help="Whose due times they are."),
        ]
    ):
        command = option(command)
    return command


@scheduler.command(
    epilog=options.example(
        'dino scheduler add tide forecast --every 15m --params \'{"station": "9414290"}\'',
        "dino scheduler add report write_report --cron '0 9 * * mon-fri' --tz Europe/Berlin",
        "dino scheduler add once hello --at 2027-01-15T10:00:00Z",
    )
)
@click.argument("name")
@_skill_name
@click.option("--cron", metavar="EXPR", help="Five fields, as cron has them.")
@click.option("--tz", metavar="ZONE", help="Of --cron and --at.  [default: this machine's]")
@click.option("--every", metavar="TIME", help="For example 15m, counted from now.")
@click.option("--at", metavar="TIME", help="Once.")
@click.option("--params", metavar="JSON", help="What it is called with, as one JSON object.")
@click.option("--replace", is_flag=True, help="Change the job of that name.")
@_policy_options
@options.as_json
@pass_workspace
def add(
    workspace: Workspace, name: str, skill: str, params: str | None, as_json: bool, **given: Any
) -> None:
    """Add a job that runs SKILL, or change it."""
    said = {key: value for key, value in given.items() if value is not None}
    trigger = _trigger({key: said.pop(key) for key in ("cron", "tz", "every", "at") if key in said})
    arguments = _bound(workspace, skill, options.json_object(params, "--params"))
    job_id = workspace.jobs.add_job(name, skill, trigger, params=arguments, **said)
    (job,) = [job for job in workspace.jobs.list_jobs() if job["id"] == job_id]
    output.answer(job, f"job {job['name']!r}: next run {job['next_run']}", as_json=as_json)


@scheduler.command(epilog=options.example("dino scheduler remove tide"))
@_job_name
@options.as_json
@pass_workspace
def remove(workspace: Workspace, name: str, as_json: bool) -> None:
    """Remove a job; what it has under way goes on, its history stays in the journal."""
    workspace.jobs.remove_job(name)
    output.answer({"removed": name}, f"job {name!r} removed", as_json=as_json)


@scheduler.command(
    epilog=options.example(
        "dino scheduler pause tide", "dino scheduler pause tide --until 2027-01-15T10:00:00Z"
    )
)
@_job_name
@click.option("--until", metavar="TIME", help="Go on then; what is due before is skipped.")
@options.as_json
@pass_workspace
def pause(workspace: Workspace, name: str, until: str | None, as_json: bool) -> None:
    """Have a job not run until it is resumed."""
    changed = workspace.jobs.pause(name, until=until)
    told = f"job {name!r} {'is paused' if changed else 'was paused already'}"
    output.answer({"paused": name, "changed": changed}, told, as_json=as_json)


@scheduler.command(epilog=options.example("dino scheduler resume tide --skip-missed"))
@_job_name
@click.option("--skip-missed", is_flag=True, help="Not even the misfire policy makes them good.")
@options.as_json
@pass_workspace
def resume(workspace: Workspace, name: str, skip_missed: bool, as_json: bool) -> None:
    """Go on with a paused job; its misfire policy says what becomes of the times it missed."""
    changed = workspace.jobs.resume(name, skip_missed=skip_missed)
    told = f"job {name!r} {'goes on' if changed else 'was not paused'}"
    output.answer({"resumed": name, "changed": changed}, told, as_json=as_json)


@scheduler.command("run-now", epilog=options.example("dino scheduler run-now tide"))
@_job_name
@options.as_json
@pass_workspace
def run_now(workspace: Workspace, name: str, as_json: bool) -> None:
    """Make a job due now; its other times stay as they are."""
    from dino_os.scheduler.serving import Serving  # noqa: PLC0415

    workspace.jobs.run_now(name)
    served = Serving(workspace.memory).pid() is not None
    then = "" if served else "; no service runs, `dino scheduler tick` runs it"
    output.answer({"due": name, "served": served}, f"job {name!r} is due{then}", as_json=as_json)


@scheduler.command("next", epilog=options.example("dino scheduler next tide -n 5"))
@_job_name
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True)
@options.as_json
@pass_workspace
def next_runs(workspace: Workspace, name: str, count: int, as_json: bool) -> None:
    """When a job is due next, in the time of its zone with the offset from UTC."""
    found = workspace.jobs.next_runs(name, count)
    output.answer(
        {"job": name, "next": found}, "\n".join(found) or "it will not run again", as_json=as_json
    )


@scheduler.command(epilog=options.example("dino scheduler history tide --json"))
@_job_name
@options.show
@options.as_json
@pass_workspace
def history(workspace: Workspace, name: str, show: int, as_json: bool) -> None:
    """What became of a job's last due times, latest first; `audit log scheduler` has all."""
    found = workspace.jobs.history(name)
    if as_json:
        output.emit_json({"job": name, "occurrences": found})
        return
    shown, left = output.first_of(found, show)
    if not shown:
        output.say("none of its times has come yet")
        return
    rows = [(_times(one), _became(one), one["started"] or "", _why(one)) for one in shown]
    output.table(("due", "state", "started", "why"), rows)
    output.more(left, "time")


for command in scheduler_service.COMMANDS:
    scheduler.add_command(command)


# --- words ---------------------------------------------------------------------------------------


def _table(jobs: list[dict[str, Any]]) -> None:
    rows = [
        (
            job["name"],
            job["func"],
            job["next_run"] or ("paused" if job["status"] == "paused" else "never"),
            job["last_run"] or "",
            job["last_outcome"] or "",
            job["status"],
            _counted(job, "skipped:misfire", "skipped:too_old", "skipped:too_late"),
            _counted(job, "error", "timeout", "denied", "blocked"),
        )
        for job in jobs
    ]
    columns = ("job", "runs", "next", "last", "outcome", "status", "missed", "failed")
    output.table(columns, rows, numbers=("missed", "failed"))


def _counted(job: dict[str, Any], *words: str) -> int:
    return sum(job["counts"].get(word, 0) for word in words)


def _when(trigger: dict[str, Any]) -> str:
    if trigger["kind"] == "cron":
        return f"{trigger['expr']} ({trigger['tz']})"
    if trigger["kind"] == "at":
        return str(trigger["at"])
    seconds = trigger["everyMs"] / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"every {seconds / size:g}{unit}"
    return f"every {seconds:g}s"


def _policies(job: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in job["policies"].items())


def _times(one: dict[str, Any]) -> str:
    if one["last"] is None:
        return str(one["due"])
    return f"{one['due']} … {one['last']} ({one['count']:,}{'+' if one['more'] else ''})"


def _became(one: dict[str, Any]) -> str:
    return str(one["outcome"] or one["state"])


def _why(one: dict[str, Any]) -> str:
    if one["node"] is None:
        return one["reason"] or ("nobody could be asked" if one["claim"] == "alone" else "")
    return f"node {one['node']}" + (f": {one['reason']}" if one["reason"] else "")


# --- what was said -------------------------------------------------------------------------------


def _trigger(said: dict[str, str]) -> dict[str, Any]:
    from dino_os.scheduler.triggers import read_trigger, refuse_too_often  # noqa: PLC0415
    from dino_os.units import seconds  # noqa: PLC0415

    zone = {"tz": said.pop("tz")} if "tz" in said else {}
    if len(said) != 1:
        raise InvalidInput("say when: one of --cron, --every and --at")
    (name, value) = said.popitem()
    if name == "every":
        every = read_trigger({"kind": "interval", "seconds": seconds(value, "--every")}, zone)
        refuse_too_often(every)
        return every
    return {"kind": name, "expr" if name == "cron" else "at": value, **zone}


def _bound(workspace: Workspace, skill: str, params: dict[str, Any]) -> dict[str, Any]:
    """*params* as they were given, if the skill is there and takes them."""
    from dino_os.arguments import bind  # noqa: PLC0415

    if ":" not in skill:
        bind(workspace.plugins.skills().find(skill), params)
    elif skill not in workspace.config.settings.resources.functions:
        click.echo(
            f"dino: no worker runs {skill!r} as long as resources.functions does not name it",
            err=True,
        )
    return params
