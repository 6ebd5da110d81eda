"""`dino memory export|import|backup|restore`: what is remembered, as files."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.memory_words import confirmed, patience
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

_file = click.argument("file", type=click.Path(path_type=Path))
_stream = click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")


@click.command(
    "export",
    epilog=options.example("dino memory export notes.jsonl", "dino memory export | grep plant"),
)
@_stream
@options.as_json
@pass_workspace
def export(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Write each entry as a line of JSON to FILE, or to stdout."""
    to_stdout = str(file) == "-"
    total = workspace.memory_store.count()
    with output.progress(total, "exporting") as step:
        count = workspace.memory_store.export(None if to_stdout else str(file), progress=step)
    if not to_stdout:
        told = {"file": str(file), "entries": count}
        output.answer(
            told, f"{output.counted(count, 'entry', 'entries')} to {file}", as_json=as_json
        )


@click.command(
    "import",
    epilog=options.example(
        "dino memory import notes.jsonl", "cat notes.jsonl | dino memory import"
    ),
)
@_stream
@options.as_json
@pass_workspace
def import_(workspace: Workspace, file: Path, as_json: bool) -> None:
    """
    Add what `export` wrote, from FILE or stdin.

    Each line takes the place of what is under its key.  Where a line is none it says which, and
    how many before it are kept; it can be imported again.
    """
    with output.progress(_lines_of(file), "importing") as step:
        count = workspace.memory_store.import_(
            None if str(file) == "-" else str(file), progress=step
        )
    told = {"file": str(file), "entries": count}
    output.answer(told, f"{output.counted(count, 'entry', 'entries')} added", as_json=as_json)


@click.command("backup", epilog=options.example("dino memory backup /mnt/usb/memory.backup"))
@_file
@options.as_json
@pass_workspace
def backup(workspace: Workspace, file: Path, as_json: bool) -> None:
    """
    Write all of it to one FILE, whole and checked.

    Others go on reading and writing meanwhile.
    """
    with patience("writing the backup"):
        workspace.memory_store.backup(str(file.absolute()))
    size = file.stat().st_size
    told = {"file": str(file), "bytes": size}
    output.answer(told, f"backed up to {file}: {size:,} bytes", as_json=as_json)


@click.command("restore", epilog=options.example("dino memory restore /mnt/usb/memory.backup"))
@_file
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
@pass_workspace
def restore(workspace: Workspace, file: Path, yes: bool, as_json: bool) -> None:
    """Replace all by the backup in FILE, whole or not at all."""
    here = workspace.memory_store.count()
    if here and not yes:
        confirmed(f"This replaces {output.counted(here, 'entry', 'entries')}.  Go on?")
    with patience("restoring"):
        count = workspace.memory_store.restore(str(file.absolute()))
    told = {"file": str(file), "entries": count, "replaced": here}
    text = f"{output.counted(count, 'entry', 'entries')} restored"
    output.answer(told, text, as_json=as_json)


def _lines_of(file: Path) -> int | None:
    """How many lines it has, for whoever watches; None where that cannot be known before."""
    if not (sys.stderr.isatty() and file.is_file()):
        return None
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return sum(block.count(b"\n") for block in iter(lambda: opened.read(2**20), b""))
    return None


FILE_COMMANDS = (export, import_, backup, restore)
