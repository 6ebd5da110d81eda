"""`audit verify`: chains, segments, checkpoints and signatures, against notes held elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.hashchain import extent_of, place_of, size_of
from dino_os.commands.workspace import journals_argument, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.auditing import Held
    from engines.audit import Audit, VerifierKey


@click.command(
    epilog=options.example(
        "audit verify",
        "audit verify zones --checkpoint /mnt/usb/zones.note --key dino.local/6f…+2c…+AZ…",
        "audit verify --since 100000 --jobs 4",
    )
)
@journals_argument()
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A note that was held elsewhere.  May be given several times.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Trust this verifier key (or the file that holds it) and not the workspace's own word.",
)
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="LINE",
    help="Begin at the last checkpoint before this line.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes to work with.  [default: one per processor]",
)
@options.as_json
@pass_workspace
def verify(
    workspace: Workspace,
    journals: tuple[str, ...],
    checkpoints: tuple[Path, ...],
    keys: tuple[str, ...],
    since: int | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """
    Verify the journals from their first byte and against everything that was signed of them.

    Exits 1 on any fault.  Without a note held elsewhere (--checkpoint), or cosigned by a trusted
    witness, a tail cut together with its head or a complete rewrite is not excluded.
    """
    from dino_os.auditing import Auditing  # noqa: PLC0415

    auditing = Auditing(workspace)
    trusted = read_keys(keys)
    held = _held(checkpoints, trusted or auditing.log.keys)
    paths = auditing.journals(journals)
    found = []
    with output.progress(size_of(paths), "verifying") as step:
        for path in paths:
            origin = workspace.origin(path.stem)
            found.append(
                auditing.audit(
                    path,
                    held=held.pop(origin, ()),
                    keys=trusted,
                    since=since,
                    jobs=jobs or os.cpu_count() or 1,
                    on_progress=step,
                )
            )
    if held:
        raise InvalidInput(
            f"no journal here is {next(iter(held))}", hint="is the note of another workspace?"
        )
    sound = all(audit.ok for audit in found)
    if as_json:
        output.emit_json({"ok": sound, "journals": [audit.as_dict() for audit in found]})
    else:
        _show(found)
    click.get_current_context().exit(0 if sound else 1)


def read_keys(texts: Iterable[str]) -> list[VerifierKey]:
    """Verifier keys, each as it is or the file that holds some, one a line."""
    from engines.audit import VerifierKey  # noqa: PLC0415

    lines = [line for text in texts for line in _key_lines(text)]
    return [VerifierKey.parse(line) for line in lines]


def read_key(text: str) -> VerifierKey:
    """
    One verifier key, as it is or the file that holds it.

    Raises:
        InvalidInput: It is not one, or several.
    """
    found = read_keys([text])
    if len(found) != 1:
        raise InvalidInput(f"{text}: expected one verifier key, found {len(found)}")
    return found[0]


def _key_lines(text: str) -> list[str]:
    with contextlib.suppress(OSError, ValueError):  # too long a name for a file, for example
        if Path(text).is_file():
            return read_text(Path(text)).split()
    return [text]


def read_text(file: Path) -> str:
    """
    The text of a note or proof.

    Raises:
        InvalidInput: It cannot be read.
    """
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidInput(f"{file}: cannot be read: {reason}") from None


def _held(files: tuple[Path, ...], keys: list[VerifierKey]) -> dict[str, list[Held]]:
    """Origin → the notes held of it."""
    from dino_os.auditing import Held  # noqa: PLC0415
    from engines.audit import Checkpoint, parse_note  # noqa: PLC0415

    found: dict[str, list[Held]] = {}
    for file in files:
        text = read_text(file)
        origin = Checkpoint.parse(parse_note(text).text).origin
        found.setdefault(origin, []).append(Held(text, keys))
    return found


def _show(found: list[Audit]) -> None:
    for audit in found:
        report = audit.report
        mark = "ok    " if audit.ok else "BROKEN"
        output.say(f"{mark}  {report.path.stem}: {extent_of(report)}, {audit.verdict}")
        for fault in audit.faults:
            output.say(f"        {fault.kind}: {fault.what}")
            output.say(f"        {place_of(report.path, fault)}")
    if not found:
        output.say("no journals yet")
