"""`audit prove|check|consistency`: what a line's presence can be shown with, and to whom."""

from __future__ import annotations

from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.verify import read_keys, read_text
from dino_os.commands.workspace import journal_argument, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

_out = click.option(
    "--out", type=click.Path(path_type=Path), help="Write it here instead of printing it."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="The text within a JSON document.")


@click.command(epilog=options.example("audit prove zones 41 --out line-41.tlog-proof"))
@journal_argument
@click.argument("seq", type=click.IntRange(min=0))
@click.option(
    "--line",
    type=click.Path(path_type=Path),
    help="The line itself, where the journal was pruned of it.",
)
@_out
@_as_json
@pass_workspace
def prove(
    workspace: Workspace,
    journal: str,
    seq: int,
    line: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Prove that line SEQ (from 0) is in JOURNAL, by its last checkpoint.

    The proof holds the line itself; `audit check` verifies it anywhere, without the journal.
    """
    from dino_os.auditing import Auditing  # noqa: PLC0415

    kept = read_text(line).rstrip("\n").encode() if line else None
    proof = str(Auditing(workspace).prove(journal, seq, kept))
    _put(proof, out, {"journal": journal, "seq": seq, "proof": proof} if as_json else None)


@click.command(epilog=options.example("audit check line-41.tlog-proof --key zones.vkey"))
@options.file_argument("proof")
@click.option(
    "--key", "keys", multiple=True, required=True, metavar="KEY", help="Who must have signed."
)
@options.as_json
def check(proof: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Check a proof against a verifier key (or the file that holds it), and show the line."""
    from engines.audit import Proof  # noqa: PLC0415

    found = Proof.parse(read_text(proof))
    checkpoint, signers = found.check(read_keys(keys))
    line = found.line.decode("utf-8", "replace")
    if as_json:
        output.emit_json(
            {
                "ok": True,
                "origin": checkpoint.origin,
                "seq": found.index,
                "lines": checkpoint.size,
                "signed_by": [signer.name for signer in signers],
                "line": line,
            }
        )
        return
    names = ", ".join(signer.name for signer in signers)
    output.say(f"ok    line {found.index} of {checkpoint.size:,} in {checkpoint.origin}")
    output.say(f"      signed by {names}")
    output.say(line)


@click.command(
    epilog=options.example("audit consistency zones 1204", "audit consistency zones 1204 2408")
)
@journal_argument
@click.argument("old", type=click.IntRange(min=0))
@click.argument("new", type=click.IntRange(min=0), required=False)
@_out
@_as_json
@pass_workspace
def consistency(
    workspace: Workspace,
    journal: str,
    old: int,
    new: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Prove that the checkpoint of NEW lines (the last one) extends that of OLD lines.

    Printed as a witness takes it: `old SIZE`, the hashes, and the checkpoint.
    """
    from dino_os.auditing import Auditing  # noqa: PLC0415

    proof = Auditing(workspace).prove_consistency(journal, old, new)
    _put(proof, out, {"journal": journal, "old_lines": old, "proof": proof} if as_json else None)


def _put(text: str, out: Path | None, document: dict[str, object] | None) -> None:
    if out:
        from engines.durable import replace_file  # noqa: PLC0415

        try:
            replace_file(out, text.encode())
        except OSError as error:
            raise InvalidInput(f"{out}: cannot be written: {error.strerror}") from None
    if document:
        output.emit_json({**document, "file": str(out) if out else None})
    elif out is None:
        click.echo(text, nl=False)
