"""`dino provenance redact`: a filter for any text."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.redaction import Found, Redactor

_STDIN = Path("-")
_DESTINATION = "export"


@click.command(
    epilog=options.example(
        "dino provenance redact app.log > app.clean.log",
        "tail -f app.log | dino provenance redact",
        "dino provenance redact export.jsonl --explain",
        "dino provenance redact --kinds",
    )
)
@click.argument(
    "file", type=click.Path(path_type=Path, allow_dash=True), default=_STDIN, required=False
)
@click.option("--explain", is_flag=True, help="Show what is found, where and why, and no value.")
@click.option("--kinds", is_flag=True, help="List the kinds of what is found.")
@click.option(
    "--destination",
    metavar="NAME",
    default=_DESTINATION,
    show_default=True,
    help="Where it goes: which rules of `provenance.redaction.destinations` hold.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
@pass_workspace
def redact(
    workspace: Workspace, file: Path, explain: bool, kinds: bool, destination: str, as_json: bool
) -> None:
    """
    Take secrets and personal data out of FILE, or of what is piped in.

    Text comes out as it went in but for what is replaced; a line that is a JSON value is redacted
    field by field and stays one.  The same value has the same pseudonym wherever it stands.
    """
    from dino_os.provenance.redacting import WorkspaceRedactor  # noqa: PLC0415

    if kinds:
        _list_kinds(workspace, as_json=as_json)
        return
    redactor = WorkspaceRedactor(workspace)
    with _opened(file) as stream:
        if explain:
            _explain(redactor.typed, stream, as_json=as_json)
        else:
            _filter(redactor, stream, destination, as_json=as_json)
    for name, what in ((q.name, q.error) for q in workspace.plugins.quarantined):
        click.echo(f"dino: left out: {name}: {what}", err=True)


def _filter(redactor: Any, stream: BinaryIO, destination: str, *, as_json: bool) -> None:
    from engines.redaction import blocks, redacted  # noqa: PLC0415

    out = sys.stdout.buffer
    for block in blocks(stream):
        text = redacted(redactor, block, destination)
        if as_json:
            output.emit_json({"line": block.line, "text": text.rstrip("\n")})
        else:
            out.write(text.encode("utf-8", "surrogateescape"))
            out.flush()


def _explain(redactor: Redactor, stream: BinaryIO, *, as_json: bool) -> None:
    from engines.redaction import blocks, found_in  # noqa: PLC0415

    for block in blocks(stream):
        for found in found_in(redactor, block):
            if as_json:
                output.emit_json(_as_dict(found))
            else:
                hit = found.hit
                where = f"{found.line}:{hit.start + 1}"
                output.say(f"{where:<9} {hit.kind:<18} {hit.score:.2f}  {hit.rule}: {hit.why}")


def _as_dict(found: Found) -> dict[str, Any]:
    hit = found.hit
    return {
        "line": found.line,
        "column": hit.start + 1,
        "characters": hit.end - hit.start,
        "kind": hit.kind,
        "score": hit.score,
        "rule": hit.rule,
        "why": hit.why,
    }


def _list_kinds(workspace: Workspace, *, as_json: bool) -> None:
    from engines.redaction import all_kinds  # noqa: PLC0415

    rows = list(all_kinds().items())
    for name, detector in workspace.plugins.detectors().items():
        rows += [(kind, f"plugin {name}") for kind in getattr(detector, "kinds", ())]
    if as_json:
        output.emit_json({"kinds": [{"kind": kind, "group": group} for kind, group in rows]})
        return
    output.table(("kind", "group"), rows)


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    if file == _STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        return file.open("rb")
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
