"""`dino hashchain`, also `audit hashchain`: does the record stand?"""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, open_workspace
from dino_os.errors import NotFound
from engines.checks import did_you_mean

_OK_NOTE = (
    "unanchored: a tail cut together with its head, or a complete rewrite, is not excluded\n"
    "without a checkpoint held elsewhere"
)


@click.command(
    epilog=options.example(
        "audit hashchain", "audit hashchain zones", "audit hashchain /mnt/usb/memory/zones.jsonl"
    )
)
@click.argument(
    "journals",
    nargs=-1,
    metavar="[NAME|FILE]...",
    shell_complete=complete(lambda workspace: [path.stem for path in workspace.journals()]),
)
@options.as_json
@click.pass_context
def hashchain(ctx: click.Context, journals: tuple[str, ...], as_json: bool) -> None:
    """
    Verify the journals from their first byte: every hash, link and number.

    Without names all journals of the workspace.  Exits 0 when all stand, 1 when one does not.
    """
    from engines.journal import verify  # noqa: PLC0415

    paths = _paths(ctx, journals)
    reports = [verify(path) for path in paths]
    sound = all(report.ok for report in reports)
    if as_json:
        output.emit_json({"ok": sound, "journals": [report.as_dict() for report in reports]})
    else:
        for report in reports:
            mark = "ok    " if report.ok else "BROKEN"
            lines = output.counted(report.lines, "line")
            output.say(f"{mark}  {report.path.stem}: {lines}, {report.verdict}")
            if report.fault:
                good = output.counted(
                    report.fault.good_lines, "line before it stands", "lines before it stand"
                )
                output.say(f"        {report.path}:{report.fault.line}; {good}")
        if not reports:
            output.say("no journals yet")
        elif sound:
            output.say(_OK_NOTE)
    ctx.exit(0 if sound else 1)


def _paths(ctx: click.Context, names: tuple[str, ...]) -> list[Path]:
    if names and all(name.endswith(".jsonl") for name in names):
        return [_existing(Path(name)) for name in names]
    workspace = open_workspace(ctx)
    with contextlib.suppress(FileNotFoundError):
        next(workspace.memory.iterdir(), None)  # what cannot be looked into must not pass for empty
    there = {path.stem: path for path in workspace.journals()}
    for name in names:
        if name not in there and not name.endswith(".jsonl"):
            raise NotFound(
                f"no journal named {name!r}{did_you_mean(name, there)}",
                hint=f"there are {', '.join(there) or 'none'}",
            )
    if not names:
        return list(there.values())
    return [there.get(name) or _existing(Path(name)) for name in names]


def _existing(path: Path) -> Path:
    # A journal whose file is gone while its head remembers it is a finding, not a misspelling.
    if not path.is_file() and not path.with_suffix(".head").is_file():
        raise NotFound(f"{path}: no such file")
    return path
