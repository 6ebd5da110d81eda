"""`dino memory search`."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.memory_words import (
    complete_namespace,
    key_text,
    pairs,
    tag_option,
    value_text,
)
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

_MODES = ("auto", "text", "meaning", "hybrid")


@click.command(
    epilog=options.example(
        'dino memory search "which pump leaked"',
        "dino memory search '\"seal replaced\" pump*' --tag plant --top 3",
        "dino memory search pressure --where site=mole --explain",
    )
)
@click.argument("query", nargs=-1, required=True)
@click.option(
    "--top", "top_k", type=click.IntRange(1), default=5, show_default=True, help="So many."
)
@click.option(
    "--mode",
    type=click.Choice(_MODES),
    default="auto",
    help="By words, by meaning, or by both.  [default: both, where there are vectors]",
)
@click.option(
    "--namespace", "-n", metavar="NAME", shell_complete=complete_namespace,
    help="Only there.  [default: everywhere]",
)  # fmt: skip
@tag_option("Only what has this tag; of several, all of them.")
@click.option(
    "--where", multiple=True, metavar="NAME=VALUE", help="Only where its metadata say so."
)
@click.option("--filter", "filtered", metavar="JSON", help='As --where: {"bar": {"$gte": 3}}.')
@click.option("--half-life", type=options.DURATION, help="What is so old counts half, as 30d.")
@click.option(
    "--importance", type=options.SHARE, default=0.0, help="How much that of an entry counts."
)
@click.option("--min-score", type=options.SHARE, default=0.0, help="None below that.")
@click.option("--explain", is_flag=True, help="What each score is made of.")
@options.as_json
@pass_workspace
def search(
    workspace: Workspace,
    query: tuple[str, ...],
    top_k: int,
    mode: str,
    namespace: str | None,
    tag: tuple[str, ...],
    where: tuple[str, ...],
    filtered: str | None,
    half_life: float | None,
    importance: float,
    min_score: float,
    explain: bool,
    as_json: bool,
) -> None:
    """
    Find what QUERY is about, best first.

    "…" is a phrase, pump* all that begins so, -word what must not be there.  A score of 1 is all
    that the query asks for.
    """
    asked = " ".join(query)
    if not asked.strip():
        raise InvalidInput("say what to search for")
    store = workspace.memory_store
    found = store.search(
        asked,
        top_k,
        namespace=namespace,
        mode=mode,
        where={**pairs(where, "--where"), **options.json_object(filtered, "--filter")} or None,
        tags=list(tag),
        half_life_s=half_life,
        importance=importance,
        min_score=min_score,
        explain=explain,
    )
    if mode == "auto" and (why := store.words_only()):
        click.echo(f"dino: searched by words alone: {output.printable(why)}", err=True)
    if as_json:
        output.emit_json({"query": asked, "results": found})
    elif not found:
        output.say("nothing is found")
    elif explain:
        for one in found:
            _explain(one)
    else:
        _show(found)


def _show(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            f"{one['score']:.2f}",
            _share(one.get("text")),
            _share(one.get("meaning")),
            _name(one),
            one.get("snippet") or value_text(one["value"], short=True),
        )
        for one in found
    ]
    columns = ("score", "words", "meaning", "key", "what it says")
    output.table(columns, rows, numbers=["score", "words", "meaning"])


def _explain(one: dict[str, Any]) -> None:
    output.heading(f"{one['score']:.3f}  {_name(one)}")
    output.say(f"  {one.get('snippet') or value_text(one['value'], short=True)}")
    for line in _reasons(one.get("why") or {}):
        output.say(f"  {line}")


def _reasons(why: dict[str, Any], indent: str = "") -> list[str]:
    """Whatever the store says of a score, a line each."""
    lines: list[str] = []
    for name, value in why.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_reasons(value, f"{indent}  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}:")
            for item in value:
                lines.append(f"{indent}  {_flat(item)}")
        else:
            lines.append(f"{indent}{name}: {_number(value)}")
    return lines


def _flat(item: Any) -> str:
    if not isinstance(item, dict):
        return _number(item)
    return ", ".join(f"{name} {_number(value)}" for name, value in item.items())


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _name(one: dict[str, Any]) -> str:
    key = key_text(one["key"])
    return f"{key_text(one['namespace'])}:{key}" if one.get("namespace") else key
