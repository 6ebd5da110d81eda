"""`dino offline attachments`: files that documents carry along."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dino_os.commands import options, output
from dino_os.commands.offline_documents import key_argument, known_keys, missing
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput, NotFound
from dino_os.workspace import Workspace
from engines.checks import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])
_Stubs = dict[str, dict[str, Any]]
_ANY_KIND = "application/octet-stream"


def _complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return complete(lambda here: _stubs(here, ctx.params["key"]))(ctx, param, incomplete)


_optional_key = click.argument("key", required=False, shell_complete=complete(known_keys))
_name_argument = click.argument("name", shell_complete=_complete_name)


@click.group(
    "attachments",
    epilog=options.example(
        "dino offline attachments put station ~/photo.jpg",
        "dino offline attachments list station",
        "dino offline attachments get station photo.jpg copy.jpg",
    ),
    invoke_without_command=True,
)
@options.show
@options.as_json
@click.pass_context
def attachments(ctx: click.Context, show: int, as_json: bool) -> None:
    """Files that documents carry along, of at most 8 MiB each; they are synchronised with them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_attachments, key=None, show=show, as_json=as_json)


@attachments.command("list", epilog=options.example("dino offline attachments list station"))
@_optional_key
@options.show
@options.as_json
@pass_workspace
def list_attachments(workspace: Workspace, key: str | None, show: int, as_json: bool) -> None:
    """The attachments of the document under KEY, or of all documents."""
    if key is not None:
        found = {key: _stubs(workspace, key)}
    else:
        there = workspace.documents.attached() if workspace.documents_file.exists() else {}
        found = {workspace.cache.key_of(name): stubs for name, stubs in there.items()}
    told = [{"key": one, **_told(*item)} for one, stubs in found.items() for item in stubs.items()]
    if as_json:
        output.emit_json({"attachments": told})
    elif not told:
        output.say(f"{key} has no attachments" if key else "nothing is attached")
    else:
        shown, left = output.first_of([(*one.values(),) for one in told], show)
        output.table(
            ("document", "attachment", "type", "bytes", "digest"), shown, numbers=["bytes"]
        )
        output.more(left, "attachment")


@attachments.command(
    "put",
    epilog=options.example(
        "dino offline attachments put station ~/photo.jpg",
        "tar cz plans | dino offline attachments put station - --name plans.tgz",
    ),
)
@key_argument
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", help="What it is called there.  [default: as the file]")
@click.option("--type", "kind", metavar="TYPE", help="As text/plain.  [default: by its name]")
@options.as_json
@pass_workspace
def put(
    workspace: Workspace, key: str, file: Path, name: str | None, kind: str | None, as_json: bool
) -> None:
    """
    Attach FILE, or standard input (-), to the document under KEY; 8 MiB at most.

    One of the same name is replaced.  Where there is no such document it is made.  A later `set`
    writes the document anew, without attachments.
    """
    import mimetypes  # noqa: PLC0415

    name = name or ("" if str(file) == "-" else file.resolve().name)
    if not name:
        raise InvalidInput("what comes from standard input has no name", hint="add --name NAME")
    data = _read(file)
    kind = kind or mimetypes.guess_type(name)[0] or _ANY_KIND
    rev = workspace.documents.attach(workspace.cache.document_of(key), name, data, kind)
    told = {"key": key, "name": name, "content_type": kind, "length": len(data), "rev": rev}
    output.answer(told, f"{name} is attached to {key}: {len(data):,} bytes", as_json=as_json)


@attachments.command(
    "get",
    epilog=options.example(
        "dino offline attachments get station photo.jpg copy.jpg",
        "dino offline attachments get station plans.tgz | tar tz",
    ),
)
@key_argument
@_name_argument
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@options.as_json
@pass_workspace
def get(workspace: Workspace, key: str, name: str, file: Path | None, as_json: bool) -> None:
    """
    Write the attachment NAME of the document under KEY to FILE, or to standard output.

    With --json and no FILE its bytes are in the answer, as base64.
    """
    stub = _stub(workspace, key, name)
    to_stdout = file is None or str(file) == "-"
    if to_stdout and not as_json and sys.stdout.isatty():
        hint = f"name a file: `dino offline attachments get {key} {name} FILE`"
        raise InvalidInput(f"{name}: a terminal is no place for its bytes", hint=hint)
    data = workspace.documents.attachment(stub["digest"])
    told = {"key": key, **_told(name, stub)}
    if not to_stdout and file is not None:
        _write(file, data)
        shown = f"{name} is in {file}: {len(data):,} bytes"
        output.answer({**told, "file": str(file)}, shown, as_json=as_json)
    elif as_json:
        output.emit_json({**told, "data": base64.b64encode(data).decode()})
    else:
        sys.stdout.buffer.write(data)


@attachments.command("rm", epilog=options.example("dino offline attachments rm station photo.jpg"))
@key_argument
@_name_argument
@options.as_json
@pass_workspace
def rm(workspace: Workspace, key: str, name: str, as_json: bool) -> None:
    """Take the attachment NAME off the document under KEY; the document stays."""
    _stub(workspace, key, name)
    rev = workspace.documents.detach(workspace.cache.document_of(key), name)
    output.answer(
        {"key": key, "removed": name, "rev": rev}, f"{name} is off {key}", as_json=as_json
    )


def _stubs(workspace: Workspace, key: str) -> _Stubs:
    """What the document under *key* says of its attachments, by name."""
    try:
        if not workspace.documents_file.exists():
            raise missing(workspace, key)
        doc = workspace.documents.get(workspace.cache.document_of(key))
    except NotFound:
        raise missing(workspace, key) from None
    found: _Stubs = doc.get("_attachments", {})
    return found


def _stub(workspace: Workspace, key: str, name: str) -> dict[str, Any]:
    known = _stubs(workspace, key)
    if name not in known:
        near = did_you_mean(name, list(known))
        hint = f"`dino offline attachments list {key}` shows what there is"
        raise NotFound(f"{key} has no attachment {name!r}{near}", hint=hint)
    return known[name]


def _told(name: str, stub: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, **{what: stub[what] for what in ("content_type", "length", "digest")}}


def _read(file: Path) -> bytes:
    from engines.latent_cache import ATTACHMENT_LIMIT  # noqa: PLC0415

    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(ATTACHMENT_LIMIT + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(ATTACHMENT_LIMIT + 1)
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > ATTACHMENT_LIMIT:
        raise InvalidInput(
            f"{file}: larger than 8 MiB ({ATTACHMENT_LIMIT:,} bytes), the most there can be",
            hint="attach it in parts, or keep it elsewhere and its address here",
        )
    return data


def _write(file: Path, data: bytes) -> None:
    from engines.durable import replace_file  # noqa: PLC0415

    try:
        replace_file(file, data)
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written: {error.strerror}") from None
