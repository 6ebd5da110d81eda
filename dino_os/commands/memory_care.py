"""`dino memory forget|check|stats|reindex`."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.memory_words import complete_key, complete_namespace, confirmed, pairs
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

_FAULTY = 1
_NAMED = 5


@click.command(
    epilog=options.example(
        "dino memory forget customer/4711 --yes",
        "dino memory forget --tag draft --older-than 90d",
        'dino memory forget --query "phone number" --namespace calls',
    )
)
@click.argument("key", required=False, shell_complete=complete_key)
@click.option(
    "--namespace", "-n", metavar="NAME", shell_complete=complete_namespace,
    help="Only there.  [default of KEY: none]",
)  # fmt: skip
@click.option("--tag", metavar="TAG", help="What has this tag.")
@click.option("--query", metavar="TEXT", help="What has all these words.")
@click.option("--older-than", type=options.DURATION, help="What was last written so long ago.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="Where its metadata say so.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
@pass_workspace
def forget(
    workspace: Workspace,
    key: str | None,
    namespace: str | None,
    tag: str | None,
    query: str | None,
    older_than: float | None,
    where: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """
    Erase for good, from every file of the memory.

    That is values, earlier versions, words and vectors.  What is named must hold together: KEY,
    tag, words, age, metadata.  The journal says how many it was, and nothing of them.  Backups and
    exports are yours to erase.
    """
    named: dict[str, Any] = {
        "key": key,
        "namespace": namespace if key is None else namespace or "",
        "tag": tag,
        "query": query,
        "older_than_s": older_than,
        "where": pairs(where, "--where") or None,
    }
    chosen = {name: value for name, value in named.items() if value is not None}
    if not chosen:
        raise InvalidInput(
            "name what to forget: a KEY, --tag, --query, --older-than, --where or --namespace"
        )
    if not yes:
        found = workspace.memory_store.to_forget(**chosen)
        shown = ", ".join(name for _, name in found[:_NAMED]) + (" …" if found[_NAMED:] else "")
        many = output.counted(len(found), "entry", "entries")
        confirmed(f"{many}: {shown or 'none'}.  They cannot be brought back.  Go on?")
    count = workspace.memory_store.forget(**chosen)
    text = f"{output.counted(count, 'entry', 'entries')} forgotten"
    output.answer({"forgotten": count}, text, as_json=as_json)


@click.command(epilog=options.example("dino memory check", "dino memory check --repair --json"))
@click.option("--repair", is_flag=True, help="Make the indexes anew where they differ.")
@options.as_json
@click.pass_context
def check(ctx: click.Context, repair: bool, as_json: bool) -> None:
    """
    Check the file and its indexes; exits 1 where one is not sound.

    The indexes must say what the entries say; --repair makes them anew.
    """
    from dino_os.commands.workspace import open_workspace  # noqa: PLC0415

    found = open_workspace(ctx).memory_store.check(repair=repair)
    if as_json:
        output.emit_json(found)
    else:
        for fault in found["faults"]:
            output.say(f"fault   {fault}")
        for mended in found.get("repaired", ()):
            output.say(f"mended  {mended}")
        if found["ok"]:
            output.say(f"ok      {output.counted(found['entries'], 'entry', 'entries')}")
    if not found["ok"]:
        ctx.exit(_FAULTY)


@click.command(epilog=options.example("dino memory stats --json"))
@options.as_json
@pass_workspace
def stats(workspace: Workspace, as_json: bool) -> None:
    """Show how much is remembered, by which model, and what waits."""
    found = workspace.memory_store.stats()
    if as_json:
        output.emit_json(found)
        return
    for name, value in _lines(found):
        output.say(f"{name:24}{value}")


def _lines(found: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, value in found.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            lines += _lines(value, f"{label}: ")
        elif value is not None:
            lines.append((label, f"{value:,}" if type(value) is int else str(value)))
    return lines


@click.command(epilog=options.example("dino memory reindex", "dino memory reindex --json"))
@click.option("--model", metavar="NAME", help="Only if memory.embedder is that one.")
@options.as_json
@pass_workspace
def reindex(workspace: Workspace, model: str | None, as_json: bool) -> None:
    """
    Embed what has no vector yet, and build the indexes.

    Where the model is another, that is all of it.  It can be interrupted: the next one goes on.
    Until all is embedded the old vectors serve.
    """
    waiting = workspace.memory_store.count()
    with output.progress(waiting, "embedding") as step:
        found = workspace.memory_store.reindex(model, progress=step)
    embedded = output.counted(found["embedded"], "entry", "entries")
    text = f"{embedded} embedded by {found['model']}"
    if failed := found.get("failed"):
        text += f"; {failed:,} refused by it, to be tried again"
    if index := found.get("index"):
        text += f"\nindex {index}"
    output.answer(found, text, as_json=as_json)


CARE_COMMANDS = (forget, check, stats, reindex)
