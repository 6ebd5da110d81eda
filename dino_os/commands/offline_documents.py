"""`dino offline get|set|rm|ls|conflicts|resolve`: the documents themselves."""

from __future__ import annotations

import json
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput, NotFound
from dino_os.workspace import Workspace
from engines.checks import did_you_mean


def known_keys(workspace: Workspace) -> list[str]:
    return workspace.cache.keys() if workspace.documents_file.exists() else []


def _split(workspace: Workspace) -> list[str]:
    return workspace.documents.conflicts() if workspace.documents_file.exists() else []


key_argument = click.argument("key", shell_complete=complete(known_keys))


@click.command("get", epilog=options.example("dino offline get tide-table"))
@key_argument
@options.as_json
@pass_workspace
def get(workspace: Workspace, key: str, as_json: bool) -> None:
    """Print the value under KEY, as JSON."""
    value = workspace.cache.get(key) if workspace.documents_file.exists() else None
    if value is None and key not in known_keys(workspace):  # null is a value too
        raise missing(workspace, key)
    if as_json:
        output.emit_json({"key": key, "value": value})
    else:
        output.say(json.dumps(value, ensure_ascii=False, indent=2))


@click.command(
    "set",
    epilog=options.example(
        'dino offline set station \'{"name": "Mole"}\'', "dino offline set forecast 3 --ttl 6h"
    ),
)
@key_argument
@click.argument("value")
@click.option("--ttl", type=options.DURATION, help="For so long, as 30m or 6h; else for ever.")
@options.as_json
@pass_workspace
def set_(workspace: Workspace, key: str, value: str, ttl: float | None, as_json: bool) -> None:
    """Keep VALUE, which is JSON, under KEY; it is synchronised with the next `sync`."""
    try:
        found = json.loads(value)
    except ValueError as error:
        hint = f"text stands in quotes: '{json.dumps(value)}'"
        raise InvalidInput(f"not JSON: {value[:60]!r}: {error}", hint=hint) from None
    workspace.cache.set(key, found, ttl=ttl)
    output.answer({"key": key, "ttl_s": ttl}, f"{key} is kept", as_json=as_json)


@click.command("rm", epilog=options.example("dino offline rm tide-table"))
@key_argument
@options.as_json
@pass_workspace
def rm(workspace: Workspace, key: str, as_json: bool) -> None:
    """Delete what is under KEY, here and with the next `sync` there."""
    if not (workspace.documents_file.exists() and workspace.cache.delete(key)):
        raise missing(workspace, key)
    output.answer({"deleted": key}, f"{key} is deleted", as_json=as_json)


@click.command(
    "ls",
    epilog=options.example(
        "dino offline ls station/ --json", "dino offline ls --from 2026-01 --to 2026-06 --limit 50"
    ),
)
@click.argument("prefix", default="")
@click.option("--from", "start", metavar="KEY", help="From this key on.")
@click.option("--to", "end", metavar="KEY", help="Up to this key, itself included.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N, all shown.")
@options.show
@options.as_json
@pass_workspace
def ls(
    workspace: Workspace,
    prefix: str,
    start: str | None,
    end: str | None,
    limit: int | None,
    show: int,
    as_json: bool,
) -> None:
    """The keys that begin with PREFIX, or all, in the order of their characters."""
    there = workspace.documents_file.exists()
    found = workspace.cache.keys(prefix, start=start, end=end, limit=limit) if there else []
    if as_json:
        output.emit_json({"keys": found})
        return
    if not found:
        chosen = prefix or start is not None or end is not None
        output.say("no such key" if chosen else "nothing is kept yet")
        return
    shown, left = output.first_of(found, 0 if limit else show)
    for key in shown:
        output.say(key)
    output.more(left, "key")


@click.command(
    "conflicts",
    epilog=options.example("dino offline conflicts", "dino offline conflicts station --json"),
)
@click.argument("document", required=False, shell_complete=complete(_split))
@options.as_json
@pass_workspace
def conflicts(workspace: Workspace, document: str | None, as_json: bool) -> None:
    """Documents that were edited on both sides; of one, its versions, the winner first."""
    there = workspace.documents_file.exists()
    if document is None:
        found = {one: _leaves(workspace, one) for one in (_split(workspace) if there else [])}
    else:
        found = {document: _leaves(workspace, document) if there else []}
        if not found[document]:
            raise missing(workspace, document)
    if as_json:
        output.emit_json({"conflicts": [{"id": one, "leaves": v} for one, v in found.items()]})
        return
    if not found:
        output.say("no conflicts")
    for one, leaves in found.items():
        output.heading(one)
        for at, leaf in enumerate(leaves):
            body = json.dumps(leaf["document"], ensure_ascii=False)
            output.say(f"  {'wins ' if at == 0 else '     '} {leaf['rev']}  {body}")


@click.command(
    "resolve",
    epilog=options.example("dino offline resolve station", "dino offline resolve station 2-7051c"),
)
@click.argument("document", shell_complete=complete(_split))
@click.argument("rev", required=False)
@options.as_json
@pass_workspace
def resolve(workspace: Workspace, document: str, rev: str | None, as_json: bool) -> None:
    """
    Keep one version of DOCUMENT and delete the others, here and with the next `sync` there.

    REV is the version, or how it begins; without it the one that wins anyway.
    """
    leaves = _leaves(workspace, document) if workspace.documents_file.exists() else []
    if not leaves:
        raise missing(workspace, document)
    fits = [leaf["rev"] for leaf in leaves if leaf["rev"].startswith(rev or "")]
    if not fits or (rev and len(fits) > 1):
        known = ", ".join(leaf["rev"] for leaf in leaves)
        raise NotFound(f"{document!r} has no one version {rev!r}", hint=f"there are {known}")
    kept = workspace.documents.resolve(document, fits[0])
    deleted = [leaf["rev"] for leaf in leaves if leaf["rev"] != kept]
    told = f"{document} is {kept}; {output.counted(len(deleted), 'other')} deleted"
    output.answer({"id": document, "kept": kept, "deleted": deleted}, told, as_json=as_json)


def _leaves(workspace: Workspace, document: str) -> list[dict[str, Any]]:
    """The versions that are no deletions, winner first, without what the store adds."""
    docs = workspace.documents.open_revs(document, None, attachments=False)
    return [
        {"rev": doc["_rev"], "document": {k: v for k, v in doc.items() if k[:1] != "_"}}
        for doc in docs
        if not doc.get("_deleted")
    ]


def missing(workspace: Workspace, key: str) -> NotFound:
    """What is said where nothing is kept under *key*."""
    hint = "`dino offline ls` shows what is"
    if key.startswith("_design/"):
        hint = f"design documents are no values; `dino offline conflicts {key}` shows one"
    near = did_you_mean(key, known_keys(workspace))
    return NotFound(f"nothing is kept as {key!r}{near}", hint=hint)


DOCUMENT_COMMANDS = (get, set_, rm, ls, conflicts, resolve)
