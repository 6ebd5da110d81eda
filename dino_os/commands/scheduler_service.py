"""`dino scheduler start|stop|tick|crontab|unit`: what makes the jobs run."""

from __future__ import annotations

import os
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace


@click.command(epilog=options.example("dino scheduler tick", "dino scheduler tick --submit-only"))
@click.option("--submit-only", is_flag=True, help="Run nothing: others work off what is due.")
@options.as_json
@pass_workspace
def tick(workspace: Workspace, submit_only: bool, as_json: bool) -> None:
    """
    Take one turn: submit what is due, and run it unless somebody else does.

    It also looks after entities, orders, deliveries and messages, as the service does.  Meant for
    cron; `dino scheduler crontab` prints the line.
    """
    from dino_os.scheduler.duty import SchedulerDuty  # noqa: PLC0415
    from dino_os.work.duties import duties_of  # noqa: PLC0415
    from dino_os.work.service import Service  # noqa: PLC0415
    from engines.checks import time_text  # noqa: PLC0415

    submitted: list[str] = []
    duty = SchedulerDuty(workspace, on_submit=submitted.extend)
    works = not submit_only and not duty.is_worked_for()
    duties = duties_of(workspace, duty, once=True)
    attempts = Service(workspace, duties, workers=None if works else 0).run(once=True)
    workspace.jobs.refresh()
    due = time_text(workspace.jobs.wake())
    document = {"submitted": submitted, "worked": works, "attempts": attempts, "next": due}
    told = (
        f"{output.counted(len(submitted), 'run')} submitted by the scheduler, "
        f"{output.counted(attempts, 'attempt')} at tasks worked off; "
        f"the scheduler's next run: {due or 'never'}"
    )
    output.answer(document, told, as_json=as_json)


@click.command(
    epilog=options.example("dino scheduler start", "dino scheduler start --no-work --json")
)
@click.option("--no-work", is_flag=True, help="Only submit: `dino engine work` runs it elsewhere.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Worker processes.")
@options.as_json
@pass_workspace
def start(workspace: Workspace, no_work: bool, workers: int | None, as_json: bool) -> None:
    """
    Serve the workspace in the foreground until stopped (Ctrl-C, SIGTERM, `dino scheduler stop`).

    Jobs when they are due, entities, orders, deliveries, messages, and the tasks that come of them.

    `dino scheduler unit` prints what systemd needs to run it.
    """
    from dino_os.scheduler.serving import Serving  # noqa: PLC0415
    from dino_os.work.duties import duties_of  # noqa: PLC0415
    from dino_os.work.service import Service  # noqa: PLC0415

    with Serving(workspace.memory).held():
        click.echo(f"dino: scheduler serves {workspace.root}", err=True)
        Service(workspace, duties_of(workspace), workers=0 if no_work else workers).run()
    output.answer({"stopped": True}, "the scheduler was stopped", as_json=as_json)


@click.command(epilog=options.example("dino scheduler stop", "dino scheduler stop --timeout 120"))
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0), default=60.0, show_default=True, metavar="S"
)
@options.as_json
@pass_workspace
def stop(workspace: Workspace, timeout_s: float, as_json: bool) -> None:
    """Tell the service of this workspace to end, and wait until it has."""
    from dino_os.scheduler.serving import Serving  # noqa: PLC0415

    pid = Serving(workspace.memory).stop(timeout_s)
    told = "no scheduler runs here" if pid is None else f"process {pid} has stopped"
    output.answer({"stopped_pid": pid}, told, as_json=as_json)


@click.command(epilog=options.example("dino scheduler crontab", "dino scheduler crontab --json"))
@options.as_json
@pass_workspace
def crontab(workspace: Workspace, as_json: bool) -> None:
    """Print the line for `crontab -e` that makes the jobs run."""
    from dino_os.scheduler import export  # noqa: PLC0415

    door = export.door()
    line = export.crontab_line(workspace.root, door, export.variables(door, "cron"))
    _print({"line": line}, line, as_json=as_json)


@click.command(epilog=options.example("dino scheduler unit", "dino scheduler unit --user"))
@click.option("--user", "users_own", is_flag=True, help="For `systemctl --user`.")
@options.as_json
@pass_workspace
def unit(workspace: Workspace, users_own: bool, as_json: bool) -> None:
    """
    Print a systemd unit that serves the jobs.

    Save it as /etc/systemd/system/dino.service (with --user: ~/.config/systemd/user/dino.service),
    then `systemctl enable --now dino`.
    """
    from dino_os.scheduler import export  # noqa: PLC0415

    door = export.door()
    text = export.unit(
        workspace.root,
        door,
        export.variables(door, "systemd"),
        user=None if users_own else _user(),
    )
    _print({"unit": text}, text.rstrip("\n"), as_json=as_json)


def _user() -> str:
    """Whose process this is, whatever the environment says."""
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _print(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    """As it is: other programs read it."""
    if as_json:
        output.emit_json(document)
    else:
        click.echo(text)


COMMANDS = (tick, start, stop, crontab, unit)
