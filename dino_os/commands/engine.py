"""`dino engine`: the queue, its pools and its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.tasks import show_tasks
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

_CHUNK = 1000


def _ids(workspace: Workspace, *states: str) -> list[str]:
    return [t.task_id for t in workspace.resources.tasks() if not states or t.state in states]


_live = complete(lambda w: _ids(w, "waiting", "queued", "delayed", "running", "dead"))
_dead = complete(lambda w: _ids(w, "dead"))


@click.group(
    epilog=options.example("dino engine", "dino engine submit hello --wait", "dino engine work"),
    invoke_without_command=True,
)
@click.pass_context
@options.watching
@options.as_json
def engine(ctx: click.Context, watch: bool, as_json: bool) -> None:
    """Tasks: submit them, see what became of them, and the workers that run them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, watch=watch, as_json=as_json)


@engine.command(epilog=options.example("dino engine status", "dino engine status --watch"))
@options.watching
@options.as_json
@pass_workspace
def status(workspace: Workspace, watch: bool, as_json: bool) -> None:
    """How much waits and runs, the pools, the workers, and whether all is well."""
    resources = workspace.resources

    def look() -> dict[str, Any]:
        return {**resources.get_status(), "sessions": resources.sessions()}

    output.live(look, _render_status, watch=watch, as_json=as_json)


@engine.command(
    epilog=options.example(
        """dino engine submit hello --params '{"name": "Ada"}' --priority high""",
        "dino engine submit report --in 5m --key report-2026-11 --wait",
        "dino engine submit --file tasks.jsonl --batch night",
    )
)
@click.argument(
    "skill",
    required=False,
    shell_complete=complete(lambda w: [s.name for s in w.plugins.skills()]),
)
@click.option("--params", metavar="JSON", help="Its parameters as one JSON object.")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help='Tasks, one JSON object a line: {"skill": …, "params": {…}, "task_id": …}.',
)
@click.option("--id", "task_id", metavar="ID", help="What it is known by.  [default: made up]")
@click.option("--key", help="A second task with the same key is not taken.")
@click.option(
    "--priority",
    type=click.Choice(["critical", "high", "normal", "low"]),
    default="normal",
    show_default=True,
)
@click.option("--after", multiple=True, metavar="ID", shell_complete=_live, help="Runs after it.")
@click.option("--batch", metavar="NAME", help="What it is part of.")
@click.option("--in", "delay", metavar="TIME", help="Not before, for example, 30s or 5m from now.")
@click.option("--start-within", metavar="TIME", help="Later it is not started at all.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="[default: the skill's]")
@click.option("--timeout", metavar="TIME", help="[default: the skill's]")
@click.option("--at-most-once", is_flag=True, help="Not run again when its worker is lost.")
@click.option("--local", is_flag=True, help="On this machine only, whoever else is in the cluster.")
@click.option("--wait", is_flag=True, help="Until it has ended; the exit code says how.")
@options.as_json
@pass_workspace
def submit(
    workspace: Workspace,
    skill: str | None,
    params: str | None,
    file: Path | None,
    wait: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """
    Put the run of a SKILL into the queue, or those in a file.

    It is checked against the skill's signature now, and run by `dino engine work`.
    """
    from dino_os.commands.tasks import read_tasks, task_of, wait_for  # noqa: PLC0415

    if (skill is None) == (file is None):
        raise click.UsageError("name a SKILL, or tasks with --file")
    if file is not None:
        tasks = read_tasks(workspace, file, given)
    else:
        tasks = [task_of(workspace, str(skill), options.json_object(params, "--params"), given)]
    resources = workspace.resources
    there = resources.known_of(tasks)
    ids = resources.submit_tasks(tasks)
    known = [one for one, task in zip(ids, tasks, strict=True) if task.task_id in there]
    if not as_json:
        if not wait:
            output.say(ids[0] if len(ids) == 1 else f"{len(ids):,} tasks are in the queue")
        if known:
            output.say(f"{output.counted(len(known), 'task')} had been submitted before")
    if wait:
        wait_for(workspace, ids, as_json=as_json)
    elif as_json:
        output.emit_json({"task_ids": ids, "known": known})


@engine.command("list", epilog=options.example("dino engine list --state running"))
@click.option(
    "--state",
    type=click.Choice(
        ["waiting", "queued", "delayed", "running", "succeeded", "dead", "cancelled"]
    ),
)
@click.option("--batch", metavar="NAME")
@click.option("--source", metavar="WHO", help='Who wanted it, for example "job:nightly".')
@options.show
@options.as_json
@pass_workspace
def list_tasks(
    workspace: Workspace,
    state: str | None,
    batch: str | None,
    source: str | None,
    show: int,
    as_json: bool,
) -> None:
    """Tasks that are not finished, and the last that are; newest first."""
    found = workspace.resources.tasks(state=state, batch=batch, source=source)[::-1]
    show_tasks(found, show, as_json=as_json)


@engine.command(epilog=options.example("dino engine show 4f2a…", "dino engine show night --json"))
@click.argument("task_id", metavar="TASK|BATCH", shell_complete=complete(_ids))
@options.as_json
@pass_workspace
def show(workspace: Workspace, task_id: str, as_json: bool) -> None:
    """One task and what became of it, or how far a batch is."""
    from dino_os.commands.tasks import find, show_task  # noqa: PLC0415

    if batch := workspace.resources.batch_progress(task_id):
        words = ", ".join(
            f"{count:,} {state}" for state, count in batch.items() if state != "batch"
        )
        output.answer(batch, f"{task_id}: {words}", as_json=as_json)
        return
    show_task(find(workspace, task_id), as_json=as_json)


@engine.command(epilog=options.example("dino engine cancel 4f2a…"))
@click.argument("task_ids", nargs=-1, required=True, metavar="TASK...", shell_complete=_live)
@click.option("--reason", default="cancelled", show_default=True)
@options.as_json
@pass_workspace
def cancel(workspace: Workspace, task_ids: tuple[str, ...], reason: str, as_json: bool) -> None:
    """
    Have tasks not run, or stop them; a dead letter is given up.

    What waits for them is cancelled too.  The beginning of an id is enough.
    """
    from dino_os.commands.tasks import find_all  # noqa: PLC0415

    resources, wanted = workspace.resources, find_all(workspace, task_ids)
    # One that is remembered no more has ended long ago.
    changed = [one for one in wanted if resources.known(one) and resources.cancel(one, reason)]
    _say_changed("cancelled", changed, wanted, "had ended already", as_json=as_json)


@engine.command(epilog=options.example("dino engine retry 4f2a…", "dino engine retry --all"))
@click.argument("task_ids", nargs=-1, metavar="[TASK]...", shell_complete=_dead)
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@options.as_json
@pass_workspace
def retry(workspace: Workspace, task_ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Put dead letters back into the queue; the beginning of an id is enough."""
    if bool(task_ids) == everything:
        raise click.UsageError("name tasks, or --all")
    from dino_os.commands.tasks import find_all  # noqa: PLC0415

    resources = workspace.resources
    wanted = _ids(workspace, "dead") if everything else find_all(workspace, task_ids)
    changed = [one for one in wanted if resources.known(one) and resources.retry(one)]
    _say_changed("queued again", changed, wanted, "no dead letter", as_json=as_json)


@engine.command(epilog=options.example("dino engine dead", "dino engine retry --all"))
@options.show
@options.as_json
@pass_workspace
def dead(workspace: Workspace, show: int, as_json: bool) -> None:
    """The dead letters: tasks that failed for good, and why."""
    show_tasks(workspace.resources.tasks(state="dead")[::-1], show, as_json=as_json, why=True)


@engine.command(epilog=options.example("dino engine drain"))
@options.as_json
@pass_workspace
def drain(workspace: Workspace, as_json: bool) -> None:
    """Have all workers finish what they run, take no more, and leave; new ones may come."""
    told = workspace.resources.drain()
    output.answer(
        {"sessions": told}, f"told {output.counted(told, 'session')} to leave", as_json=as_json
    )


@engine.command(
    epilog=options.example("dino engine work", "dino engine work --once", "dino engine work -w 4")
)
@click.option("--once", is_flag=True, help="Until nothing is left that could start now.")
@click.option(
    "-w",
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes.  [default: as the compute pool scales]",
)
@options.as_json
@pass_workspace
def work(workspace: Workspace, once: bool, workers: int | None, as_json: bool) -> None:
    """
    Run tasks in worker processes, until Ctrl-C or SIGTERM.

    The first lets what runs come to its end (30 s at most), the second stops it; it runs again
    elsewhere.  Any number may work on one workspace.
    """
    from dino_os.work.service import Service  # noqa: PLC0415

    if not (once or as_json):
        output.say("working; Ctrl-C ends it")
    service = Service(workspace, workers=workers)
    ended = service.run(once=once)
    left = workspace.resources.depth()
    waits = ", ".join(f"{count:,} {state}" for state, count in left.items() if count)
    text = f"{output.counted(ended, 'attempt')} ended" + (f"; left: {waits}" if waits else "")
    output.answer({"attempts": ended, "left": left}, text, as_json=as_json)
    if service.cut_short:
        raise click.Abort


# --- what people see ---------------------------------------------------------------------------


def _render_status(found: dict[str, Any]) -> None:
    alive = [one for one in found["sessions"] if not one["lost"]]
    output.say(
        f"{found['tasks_queued']:,} queued, {found['tasks_running']:,} running, "
        f"{found['tasks_retrying']:,} to be tried again, {found['tasks_processed']:,} done, "
        f"{found['tasks_failed']:,} dead"
    )
    columns = ("pool", "in use", "of", "waiting")
    rows = [
        (name, pool["allocated"], pool["capacity"], pool["waiting"])
        for name, pool in found["pools"].items()
    ]
    output.table(columns, rows, numbers=columns[1:])
    for one in alive:
        leases = output.counted(one["leases"], "lease")
        where = "out in the cluster" if one["remote"] else "at work"
        output.say(f"{where}: pid {one['pid']} with {leases}")
    if not alive:
        output.say("nobody works; `dino engine work` does")
    for name, check in found["health_checks"].items():
        if not check["healthy"]:
            what = name.replace("_", " ")
            output.say(f"not well: {what} {check['value']:g}, more than {check['threshold']:g}")


def _say_changed(
    done: str, changed: list[str], wanted: list[str], otherwise: str, *, as_json: bool
) -> None:
    left = [one for one in wanted if one not in changed]
    if as_json:
        output.emit_json({"changed": changed, "unchanged": left})
        return
    output.say(f"{output.counted(len(changed), 'task')} {done}")
    for one in left:
        output.say(f"{one}: {otherwise}")
