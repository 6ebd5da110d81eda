"""`audit rotate|prune|export`: what becomes of journals that grow."""

from __future__ import annotations

from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.log import Moment
from dino_os.commands.workspace import journal_argument, journals_argument, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace


@click.command(epilog=options.example("audit rotate", "audit rotate runs --json"))
@journals_argument()
@options.as_json
@pass_workspace
def rotate(workspace: Workspace, journals: tuple[str, ...], as_json: bool) -> None:
    """
    Seal the journals' live files and go on in new ones; compress what is sealed.

    Happens by itself at memory.rotate_bytes and memory.rotate_s.
    """
    from dino_os.retention import rotate as rotate_all  # noqa: PLC0415

    done = rotate_all(workspace, journals)
    if as_json:
        found = [{"journal": name, "sealed_files": count} for name, count in done]
        output.emit_json({"journals": found})
    else:
        output.table(("journal", "sealed files"), done, numbers=("sealed files",))


@click.command(
    epilog=options.example("audit prune runs --before 90d", "audit prune runs --before-line 200000")
)
@journal_argument
@click.option("--before", type=Moment(), help="Lines recorded before this time, or age (90d).")
@click.option("--before-line", type=click.IntRange(min=0), metavar="SEQ", help="Or before a line.")
@options.as_json
@pass_workspace
def prune(
    workspace: Workspace,
    journal: str,
    before: float | None,
    before_line: int | None,
    as_json: bool,
) -> None:
    """
    Remove old sealed files of a journal, for good; keep what proves what was in them.

    Needs a checkpoint that covers them.  Whoever kept a copy of a removed line can still prove it:
    `audit prove JOURNAL SEQ --line FILE`.  Export first what must stay readable.
    """
    from dino_os.retention import first_line_since, prune_journal  # noqa: PLC0415

    if (before is None) == (before_line is None):
        raise InvalidInput("say what is old: either --before TIME or --before-line SEQ")
    line = first_line_since(workspace, journal, before) if before is not None else before_line or 0
    pruned = prune_journal(workspace, journal, line)
    if as_json:
        output.emit_json(
            {"journal": journal, "pruned_lines": pruned.lines, "removed_files": list(pruned.files)}
        )
    elif pruned.files:
        output.say(f"{journal}: removed {', '.join(pruned.files)}; lines begin at {pruned.lines}")
    else:
        output.say(f"{journal}: no sealed file lies wholly before that; nothing removed")


@click.command(epilog=options.example("audit export /mnt/usb/2026-11", "audit export out zones"))
@click.argument("folder", type=click.Path(path_type=Path))
@journals_argument()
@options.as_json
@pass_workspace
def export(workspace: Workspace, folder: Path, journals: tuple[str, ...], as_json: bool) -> None:
    """Copy journals to a new FOLDER that verifies by itself: `audit --home FOLDER verify`."""
    from dino_os.retention import export as export_all  # noqa: PLC0415

    files = export_all(workspace, folder, journals)
    if as_json:
        output.emit_json({"folder": str(folder), "files": [str(file) for file in files]})
    else:
        output.say(f"{len(files)} files in {folder}; verify with: audit --home {folder} verify")
