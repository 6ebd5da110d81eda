"""`dino nav`: the nav mesh as a whole, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dino_os.commands import gate_words as words
from dino_os.commands import options, output
from dino_os.commands.gate import issue, revoke
from dino_os.commands.routes import eject, return_, routes, send
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace
from engines.checks import time_text


@click.group(
    epilog=options.example("dino nav", "dino nav anomalies", "dino nav watch"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def nav(ctx: click.Context, as_json: bool) -> None:
    """The nav mesh: its gates, its routes, and what is odd about them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@nav.command(epilog=options.example("dino nav status", "dino nav status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """Requests, gates and anomalies."""
    output.live(workspace.nav.get_status, _show, watch=False, as_json=as_json)


@nav.command(epilog=options.example("dino nav watch", "dino nav watch --json"))
@options.as_json
@pass_workspace
def watch(workspace: Workspace, as_json: bool) -> None:
    """The same, anew each second until Ctrl-C; what is odd is found and recorded meanwhile."""
    mesh = workspace.nav

    def look() -> dict[str, Any]:
        found = mesh.detect_anomalies()
        return {**mesh.get_status(), "anomalies": found}

    output.live(look, _show, watch=True, as_json=as_json)


@nav.command(epilog=options.example("dino nav anomalies", "dino nav anomalies --json"))
@options.as_json
@pass_workspace
def anomalies(workspace: Workspace, as_json: bool) -> None:
    """Rates that jumped, breaches that repeat, dependencies that fail: of the last hour."""
    found = workspace.nav.detect_anomalies()
    if as_json:
        output.emit_json({"anomalies": found})
    elif not found:
        output.say("nothing is odd")
    else:
        _show_anomalies(found)


@nav.command(epilog=options.example("dino nav block info user_001 --for 1h"))
@words.domain
@click.argument("user")
@click.option("--for", "for_s", type=options.DURATION, required=True, help="For how long (1h).")
@options.as_json
@pass_workspace
def block(workspace: Workspace, domain: str, user: str, for_s: float, as_json: bool) -> None:
    """Keep a user out for a while, whatever token there is."""
    mesh = workspace.nav
    subject = mesh.subject_of(user)
    until = time_text(mesh.block(domain, subject, for_s))
    text = f"{user} ({subject}) is kept out of {domain} until {until}"
    found = {"blocked": True, "subject": subject, "until": until}
    output.answer(found, text, as_json=as_json)


@nav.command(epilog=options.example("dino nav release info user_001"))
@words.domain
@click.argument("user")
@options.as_json
@pass_workspace
def release(workspace: Workspace, domain: str, user: str, as_json: bool) -> None:
    """Let a user in again who is kept out for an anomaly; a pseudonym will do."""
    mesh = workspace.nav
    released = mesh.release(domain, user) or mesh.release(domain, mesh.pseudonym(user))
    text = f"{user} may pass again" if released else f"{user} was not kept out of {domain}"
    output.answer({"released": released}, text, as_json=as_json)


for command in (routes, send, eject, return_):
    nav.add_command(command)
nav.add_command(issue)
nav.add_command(revoke)


def _show(found: Mapping[str, Any]) -> None:
    words.show_gates({**found, "gates": list(found["gates"].values())})
    if found["anomalies"]:
        output.say()
        _show_anomalies(found["anomalies"])


def _show_anomalies(found: list[dict[str, Any]]) -> None:
    rows = [(one["timestamp"], one["severity"], one["type"], one["message"]) for one in found]
    output.table(("time", "severity", "what", "told"), rows)
