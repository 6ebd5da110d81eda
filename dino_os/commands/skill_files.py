"""`dino skill`: skills in the open format of agentskills.io, imported and exported."""

from __future__ import annotations

from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, open_workspace, pass_workspace
from dino_os.grants import Permissions
from dino_os.workspace import Workspace


@click.group(
    epilog=options.example(
        "dino skill", "dino skill import pdf-tools/", "dino skill export summarise_file out/"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def skill(ctx: click.Context, as_json: bool) -> None:
    """
    Skills as folders with SKILL.md, the open format of agentskills.io.

    Alone it shows those that were imported.
    """
    if ctx.invoked_subcommand is not None:
        return
    from dino_os.skill_md.importing import imported  # noqa: PLC0415  on first use

    found = imported(open_workspace(ctx).skills_folder)
    if as_json:
        rows = [{"name": front.name, "description": front.description} for front in found]
        output.emit_json({"skills": rows})
    elif found:
        output.table(("name", "description"), [(f.name, f.description) for f in found])
    else:
        output.say("no skills with a SKILL.md; `dino skill import FOLDER` makes some")


@skill.command(
    "import",
    epilog=options.example(
        "dino skill import pdf-tools/", "dino skill import pdf-tools.zip --reads data --grant"
    ),
)
@options.file_argument("path", metavar="FOLDER | ZIP")
@click.option("--reads", multiple=True, metavar="PATH", help="What its scripts may read.")
@click.option("--writes", multiple=True, metavar="PATH", help="What they may change.")
@click.option("--reaches", multiple=True, metavar="HOST", help="What they may talk to.")
@click.option("--timeout", default="60s", show_default=True, help="Of each run.")
@click.option("--replace", is_flag=True, help="Take the place of what was imported before.")
@click.option("--grant", "grants", is_flag=True, help="Grant each of the skills what it asks for.")
@options.as_json
@pass_workspace
def import_skill(
    workspace: Workspace,
    path: Path,
    reads: tuple[str, ...],
    writes: tuple[str, ...],
    reaches: tuple[str, ...],
    timeout: str,
    replace: bool,
    grants: bool,
    as_json: bool,
) -> None:
    """
    Make skills of a folder with SKILL.md, or of a ZIP file of one.

    One hands out its instructions; each script below scripts/ is another, and runs in the sandbox.
    Nothing is run here. What of it changes later is not run until it is imported anew.
    """
    from dino_os.skill_md.bundle import taken  # noqa: PLC0415  on first use
    from dino_os.skill_md.importing import May, import_bundle  # noqa: PLC0415  as above

    bundle = taken(path)
    may = May(reads, writes, reaches, timeout)
    skills = import_bundle(workspace, bundle, may, replace=replace)
    if grants:
        for made in skills:
            workspace.admission.grant(made, by=workspace.operator)
    if as_json:
        document = {
            "name": bundle.front.name,
            "files": len(bundle.files),
            "skills": [made.name for made in skills],
            "granted": grants,
        }
        output.emit_json(document)
        return
    output.say(f"{bundle.front.name}: {output.counted(len(bundle.files), 'file')} imported")
    rows = [(s.name, s.summary, "; ".join(Permissions.of(s.options).words())) for s in skills]
    output.table(("skill", "what it does", "asks for"), rows)
    if not grants:
        output.say("what they ask for is not granted yet: dino grant SKILL, or --grant")


@skill.command(
    "export",
    epilog=options.example("dino skill export summarise_file out/"),
)
@click.argument(
    "name",
    shell_complete=complete(lambda workspace: [s.name for s in workspace.plugins.skills()]),
)
@options.file_argument("folder")
@options.as_json
@pass_workspace
def export_skill(workspace: Workspace, name: str, folder: Path, as_json: bool) -> None:
    """
    Write a skill to a folder of its own in FOLDER, with SKILL.md, for other agents.

    One that was imported is written as it came.
    """
    from dino_os.skill_md.exporting import export  # noqa: PLC0415  on first use

    target = export(workspace.plugins.skills().find(name), folder)
    output.answer({"name": name, "folder": str(target)}, f"{name} is in {target}", as_json=as_json)


def _imported(workspace: Workspace) -> list[str]:
    from dino_os.skill_md.importing import imported  # noqa: PLC0415  on first use

    return [front.name for front in imported(workspace.skills_folder)]


@skill.command(epilog=options.example("dino skill remove pdf-tools"))
@click.argument("name", shell_complete=complete(_imported))
@options.as_json
@pass_workspace
def remove(workspace: Workspace, name: str, as_json: bool) -> None:
    """Remove a skill that was imported: its folder, its scripts and what they were granted."""
    from dino_os.skill_md import importing  # noqa: PLC0415  on first use

    skills = importing.remove(workspace, name)
    output.answer({"name": name, "skills": skills}, f"{name}: removed", as_json=as_json)
