"""`dino hashchain`, also `audit hashchain`: does the record stand?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import journals_argument, open_workspace
from dino_os.errors import NotFound

if TYPE_CHECKING:
    from engines.journal import Fault, Report

_OK_NOTE = (
    "unanchored: a tail cut together with its head, or a complete rewrite, is not excluded\n"
    "without a checkpoint held elsewhere"
)


@click.command(
    epilog=options.example(
        "audit hashchain", "audit hashchain zones", "audit hashchain /mnt/usb/memory/zones.jsonl"
    )
)
@journals_argument("[NAME|FILE]...")
@options.as_json
@click.pass_context
def hashchain(ctx: click.Context, journals: tuple[str, ...], as_json: bool) -> None:
    """
    Verify the journals from their first byte: every hash, link and number.

    Without names all journals of the workspace.  Exits 0 when all stand, 1 when one does not.
    """
    from engines.journal import verify  # noqa: PLC0415

    paths = _paths(ctx, journals)
    with output.progress(size_of(paths), "verifying") as step:
        reports = [verify(path, jobs=os.cpu_count() or 1, on_progress=step) for path in paths]
    sound = all(report.ok for report in reports)
    if as_json:
        output.emit_json({"ok": sound, "journals": [report.as_dict() for report in reports]})
    else:
        for report in reports:
            mark = "ok    " if report.ok else "BROKEN"
            output.say(f"{mark}  {report.path.stem}: {extent_of(report)}, {report.verdict}")
            if report.fault:
                output.say(f"        {place_of(report.path, report.fault)}")
        if not reports:
            output.say("no journals yet")
        elif sound:
            output.say(_OK_NOTE)
    ctx.exit(0 if sound else 1)


def size_of(paths: Iterable[Path]) -> int:
    """Bytes on the disk: about how much there is to verify."""
    return sum(
        file.stat().st_size for path in paths for file in path.parent.glob(f"{path.stem}.*jsonl*")
    )


def extent_of(report: Report) -> str:
    """How much there is of a journal: `80 lines`, `90,000 lines in 4 files, 20,000 pruned`."""
    lines = output.counted(report.lines, "line")
    files = f" in {report.segments} files" if report.segments > 1 else ""
    return f"{lines}{files}" + (f", {report.pruned:,} pruned" if report.pruned else "")


def place_of(journal: Path, fault: Fault) -> str:
    """File and line of a fault in *journal*, and how many lines before it stand."""
    file = journal.with_name(fault.file) if fault.file else journal
    place = f"{file}:{fault.line}" if fault.line else str(file)
    good = output.counted(fault.good_lines, "line before it stands", "lines before it stand")
    return f"{place}; {good}"


def _paths(ctx: click.Context, names: tuple[str, ...]) -> list[Path]:
    if names and all(name.endswith(".jsonl") for name in names):
        return [_existing(Path(name)) for name in names]
    workspace = open_workspace(ctx)
    with contextlib.suppress(FileNotFoundError):
        next(workspace.memory.iterdir(), None)  # what cannot be looked into must not pass for empty
    if not names:
        return workspace.journals()
    return [
        _existing(Path(name)) if name.endswith(".jsonl") else workspace.named_journals([name])[0]
        for name in names
    ]


def _existing(path: Path) -> Path:
    # A journal whose file is gone while its head remembers it is a finding, not a misspelling.
    if not path.is_file() and not path.with_suffix(".head").is_file():
        raise NotFound(f"{path}: no such file")
    return path
