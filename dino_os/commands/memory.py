"""`dino memory`: what is remembered: add, get, list, delete, tag."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.memory_care import CARE_COMMANDS, stats
from dino_os.commands.memory_files import FILE_COMMANDS
from dino_os.commands.memory_search import search
from dino_os.commands.memory_words import (
    is_known,
    key_argument,
    key_text,
    metadata_option,
    missing,
    namespace_option,
    pairs,
    tag_option,
    value_text,
)
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace


@click.group(
    epilog=options.example(
        'dino memory add pump-3 "seal replaced, 40 Nm" --tag plant',
        'dino memory search "which pump leaked"',
        "dino memory get pump-3 --at 2026-11-01",
    ),
    invoke_without_command=True,
)
@options.as_json
@click.pass_context
def memory(ctx: click.Context, as_json: bool) -> None:
    """What is remembered: kept, found again by words and meaning, forgotten."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(stats, as_json=as_json)


@memory.command(
    epilog=options.example(
        'dino memory add pump-3 "seal replaced, 40 Nm" --tag plant --tag pumps',
        "dino memory add reading/7 '{\"bar\": 3.2}' --meta site=mole --ttl 30d",
        "dino memory add manual --file manual.txt",
    )
)
@key_argument
@click.argument("value", required=False)
@click.option(
    "--file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Take the value from there; - is standard input.",
)
@click.option("--text", is_flag=True, help="It is text, even if it could be read as JSON.")
@namespace_option
@tag_option("Under this tag; may be given several times.")
@metadata_option
@click.option("--ttl", type=options.DURATION, help="For so long, as 30m or 6h; else for ever.")
@click.option(
    "--importance", type=options.SHARE, default=0.0, help="0 to 1, for searches that heed it."
)
@click.option("--no-embed", is_flag=True, help="Find it by its words only.")
@options.as_json
@pass_workspace
def add(
    workspace: Workspace,
    key: str,
    value: str | None,
    file: Path | None,
    text: bool,
    namespace: str,
    tag: tuple[str, ...],
    meta: tuple[str, ...],
    ttl: float | None,
    importance: float,
    no_embed: bool,
    as_json: bool,
) -> None:
    """
    Keep VALUE under KEY, instead of what was there.

    VALUE is JSON where it can be read as JSON, else text.  What was there before is kept as an
    earlier version.
    """
    found = _value(value, file, text=text)
    store = workspace.memory_store
    store.add(
        key,
        found,
        not no_embed,
        namespace=namespace,
        metadata=pairs(meta, "--meta") or None,
        tags=list(tag),
        ttl=ttl,
        importance=importance,
    )
    told = {"key": key, "namespace": namespace, "tags": sorted(tag), "ttl_s": ttl}
    output.answer(told, f"{key_text(key)} is kept", as_json=as_json)


@memory.command(
    epilog=options.example(
        "dino memory get pump-3",
        "dino memory get pump-3 --at 2026-11-01T12:00",
        "dino memory get pump-3 --versions",
    )
)
@key_argument
@click.option("--at", metavar="TIME", help="As it was then: ISO 8601, UTC unless told, or seconds.")
@click.option("--versions", is_flag=True, help="What it was before, newest first.")
@namespace_option
@options.as_json
@pass_workspace
def get(
    workspace: Workspace, key: str, at: str | None, versions: bool, namespace: str, as_json: bool
) -> None:
    """
    Print the value under KEY.

    Text comes as it is (on a terminal without its control characters), everything else as JSON.
    """
    if versions and at is not None:
        raise InvalidInput("either --at or --versions, not both")
    if versions:
        _show_versions(workspace, key, namespace, as_json=as_json)
        return
    found = workspace.memory_store.get(key, at, namespace=namespace)
    if found is None and not is_known(workspace, key, namespace, at):
        raise missing(workspace, key, namespace, at)
    if as_json:
        output.emit_json({"key": key, "namespace": namespace, "value": found})
        return
    text = found if isinstance(found, str) else value_text(found)
    # Into a pipe or a file goes what was kept, to the byte.
    click.echo(output.printable(text) if sys.stdout.isatty() else text, color=True)


@memory.command(
    "list",
    epilog=options.example("dino memory list", "dino memory list reading/ --tag plant --json"),
)
@click.argument("prefix", default="")
@namespace_option
@tag_option("Only what has this tag; of several, all of them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N, all shown.")
@options.show
@options.as_json
@pass_workspace
def list_(
    workspace: Workspace,
    prefix: str,
    namespace: str,
    tag: tuple[str, ...],
    limit: int | None,
    show: int,
    as_json: bool,
) -> None:
    """Show the keys that begin with PREFIX, or all, in order."""
    found = workspace.memory_store.list(
        namespace=namespace, prefix=prefix, tags=list(tag), limit=limit
    )
    if as_json:
        output.emit_json({"namespace": namespace, "keys": found})
    elif not found:
        output.say("no such key" if prefix or tag else "nothing is remembered here yet")
    else:
        shown, left = output.first_of(found, 0 if limit else show)
        for key in shown:
            output.say(key_text(key))
        output.more(left, "key")


@memory.command(epilog=options.example("dino memory delete pump-3"))
@key_argument
@namespace_option
@options.as_json
@pass_workspace
def delete(workspace: Workspace, key: str, namespace: str, as_json: bool) -> None:
    """
    Take KEY out; its earlier versions stay.

    `dino memory forget KEY` erases it with all that it ever was.
    """
    if not workspace.memory_store.delete(key, namespace=namespace):
        raise missing(workspace, key, namespace)
    output.answer(
        {"deleted": key, "namespace": namespace}, f"{key_text(key)} is deleted", as_json=as_json
    )


@memory.command(
    epilog=options.example(
        "dino memory tag pump-3 --add plant --remove draft", "dino memory tag pump-3"
    )
)
@key_argument
@click.option("--add", "added", multiple=True, metavar="TAG", help="Put it under this tag.")
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="Take this tag away.")
@namespace_option
@options.as_json
@pass_workspace
def tag(
    workspace: Workspace,
    key: str,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    namespace: str,
    as_json: bool,
) -> None:
    """Tag KEY, or show its tags."""
    if not is_known(workspace, key, namespace):
        raise missing(workspace, key, namespace)
    found = workspace.memory_store.tag(key, list(added), list(removed), namespace=namespace)
    told = {"key": key, "namespace": namespace, "tags": found}
    output.answer(told, ", ".join(found) or f"{key_text(key)} has no tags", as_json=as_json)


def _value(value: str | None, file: Path | None, *, text: bool) -> Any:
    if (value is None) == (file is None):
        raise InvalidInput("give a VALUE, or --file", hint="`--file -` reads standard input")
    if file is not None:
        try:
            raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
            value = raw.decode()
        except OSError as error:
            raise InvalidInput(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{file}: not text in UTF-8") from None
    assert value is not None  # noqa: S101  one of the two
    if text:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _show_versions(workspace: Workspace, key: str, namespace: str, *, as_json: bool) -> None:
    found = workspace.memory_store.versions(key, namespace=namespace)
    if not found:
        raise missing(workspace, key, namespace)
    if as_json:
        output.emit_json({"key": key, "namespace": namespace, "versions": found})
        return
    rows: list[tuple[object, str, str]] = []
    for one in found:
        if one["until"] and one["fate"] != "replaced":
            rows.append(("", one["until"], str(one["fate"])))
        rows.append((one["version"], one["from"], value_text(one["value"], short=True)))
    output.table(("version", "since", "value"), rows, numbers=["version"])


for _command in (search, *FILE_COMMANDS, *CARE_COMMANDS):
    memory.add_command(_command)
