"""`dino grant`, `dino revoke`, `dino grants`: the operator's answer to what skills ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.grants import Grant, Request

skill_argument = click.argument(
    "skill",
    shell_complete=complete(lambda workspace: [s.name for s in workspace.plugins.skills()]),
)


@click.command(epilog=options.example("dino grant forecast", "dino grant forecast --any-version"))
@skill_argument
@click.option("--any-version", is_flag=True, help="Also when its source changes.")
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    metavar="NAME",
    help="Instead, a permission of the gateway's, for example key_management.",
)
@options.as_json
@pass_workspace
def grant(
    workspace: Workspace,
    skill: str,
    any_version: bool,
    permissions: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Allow a skill what it asks for, in this version of its source.

    What it asks for stands in its mark, @skill(…); what it does not ask for it does not get. A
    changed source needs another grant, unless it was given for any version.
    """
    found = workspace.plugins.skills().find(skill)
    for permission in permissions:
        workspace.security.grant_permission(f"skill:{skill}", permission)
    if permissions:
        document = {"skill": skill, "permissions": list(permissions)}
        output.answer(document, f"{skill} may: {', '.join(permissions)}", as_json=as_json)
        return
    given = workspace.admission.grant(found, by=workspace.operator, any_version=any_version)
    version = "any version" if any_version else f"version {(given.sha256 or '')[:12]}"
    words = given.permissions.words() or ["nothing: it asks for nothing"]
    lines = [f"{skill} may, in {version}:", *(f"  {line}" for line in words)]
    output.answer({"skill": skill, **given.as_dict()}, "\n".join(lines), as_json=as_json)


@click.command(epilog=options.example("dino revoke forecast"))
@click.argument("skill", shell_complete=complete(lambda workspace: list(workspace.admission.all())))
@click.option("--permission", "permissions", multiple=True, metavar="NAME", help="As in grant.")
@options.as_json
@pass_workspace
def revoke(workspace: Workspace, skill: str, permissions: tuple[str, ...], as_json: bool) -> None:
    """Take back what was granted to a skill."""
    for permission in permissions:
        workspace.security.revoke_permission(f"skill:{skill}", permission)
    if not permissions:
        workspace.admission.revoke(skill, by=workspace.operator)
    document = {"skill": skill, "revoked": list(permissions) or True}
    output.answer(document, f"{skill}: revoked", as_json=as_json)


@click.command(epilog=options.example("dino grants", "dino grants --json"))
@options.as_json
@pass_workspace
def grants(workspace: Workspace, as_json: bool) -> None:
    """Show what is granted, to which skill, and for which version of it."""
    there = workspace.admission.all()
    unconfined = workspace.admission.unconfined()
    held = {
        entity.removeprefix("skill:"): names
        for entity, names in sorted(workspace.security_log.permissions.items())
        if entity.startswith("skill:")
    }
    if as_json:
        document = {
            "grants": {name: [grant.as_dict() for grant in found] for name, found in there.items()},
            "permissions": held,
            "may_run_without_a_sandbox": dict(unconfined),
        }
        output.emit_json(document)
        return
    if not there and not held and not unconfined:
        output.say("nothing is granted; a skill that asks for something needs: dino grant SKILL")
        return
    rows = [_row(name, grant) for name, found in there.items() for grant in found]
    rows += [(name, f"--permission {', '.join(of)}", "any", "record") for name, of in held.items()]
    output.table(("skill", "may", "version", "granted in"), rows)
    for name, version in unconfined.items():
        output.say(f"{name} ({version[:12]}) may run where no sandbox can be made")


def _row(name: str, grant: Grant) -> tuple[str, ...]:
    version = grant.sha256[:12] if grant.sha256 else "any"
    return name, "; ".join(grant.permissions.words()), version, grant.source


def ask(request: Request) -> bool:
    """Show on a terminal what a skill asks for, and ask whether it may."""
    click.echo(f"{request.name} asks for leave to:", err=True)
    for line in request.permissions.words():
        click.echo(f"  {output.printable(line)}", err=True)
    return click.confirm("Allow this version of it to?", default=False, err=True)
