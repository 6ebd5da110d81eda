"""`dino llm`: language models: who is there, what is spent, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.ask_words import wanted_by
from dino_os.commands.llm_queue import queue
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import ModelUnavailable
from dino_os.workspace import Workspace
from engines.checks import time_text

if TYPE_CHECKING:
    from dino_os.agent_core.providers import Provider


@click.group(epilog=options.example("dino llm", "dino llm --json"), invoke_without_command=True)
@options.as_json
@click.pass_context
def llm(ctx: click.Context, as_json: bool) -> None:
    """Language models: who is asked, who did not answer, what is spent today, what waits."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@llm.command(epilog=options.example("dino llm status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """Show who is left out and why, what is spent today, and what waits."""
    from dino_os.agent_core.opening import asked, health_of  # noqa: PLC0415  as they are needed

    workspace = Workspace(workspace.root, rehearsal=True)  # looking leaves no trace
    settings, health = workspace.config.settings.llm, health_of(workspace)
    spent = workspace.agent_log.spent().as_dict()
    budget = {name: getattr(settings.budget, name) or None for name in spent}
    providers = [_health(one, health.ill(one.url)) for one in asked(workspace)]
    waiting = len(workspace.llm_queue.waiting())
    if as_json:
        document = {"providers": providers, "spent_today": spent, "budget": budget}
        output.emit_json({**document, "local_only": settings.local_only, "queued": waiting})
        return
    output.table(
        ("provider", "model", "state", "why"),
        [(o["provider"], o["model"], o["state"], o["why"] or "") for o in providers],
    )
    told = [_of(spent[name], budget[name], name) for name in spent]
    output.say(f"\ntoday: {', '.join(told)}")
    output.say(f"queued: {output.counted(waiting, 'question')}")
    if settings.local_only:
        output.say("only this machine and its network are asked (llm.local_only)")


def _of(spent: float, limit: float | None, what: str) -> str:
    """As "3 of 500 calls", or "1 call" where there is no limit."""
    from engines.agent_log import amount_text  # noqa: PLC0415  as it is needed

    of = "" if limit is None else f" of {amount_text(limit)}"
    return f"{amount_text(spent)}{of} {what.removesuffix('s') if spent == 1 and not of else what}"


def _health(provider: Provider, ill: Any) -> dict[str, Any]:
    return {
        "provider": provider.name,
        "model": provider.model,
        "state": "left out" if ill else "asked",
        "why": ill and f"{ill.why}; until {time_text(ill.until)}",
        "failures": ill.failures if ill else 0,
        "until": time_text(ill.until) if ill else None,
    }


@llm.command(epilog=options.example("dino llm providers", "dino llm providers --json"))
@options.as_json
@pass_workspace
def providers(workspace: Workspace, as_json: bool) -> None:
    """Show the providers of the settings, in the order in which they are tried."""
    from dino_os.agent_core.opening import asked  # noqa: PLC0415  as it is needed

    settings = {one.name: one for one in workspace.config.settings.llm.providers}
    rows = [_described(one, settings[one.name].key) for one in asked(workspace)]
    if as_json:
        output.emit_json({"providers": rows})
        return
    columns = ("provider", "kind", "url", "model", "key", "in/out per million")
    output.table(
        columns,
        [
            (row["provider"], row["kind"], row["url"], row["model"], row["key"] or "", _price(row))
            for row in rows
        ],
    )


def _described(provider: Provider, key: str) -> dict[str, Any]:
    price = provider.price
    return {
        "provider": provider.name,
        "kind": provider.kind,
        "url": provider.url,
        "model": provider.model,
        "key": key or None,
        "timeout_s": provider.timeout_s,
        "connect_s": provider.connect_s,
        "context_tokens": provider.context_tokens or None,
        "max_tokens": provider.max_tokens,
        "price": {"input": price.input, "output": price.output} if price else None,
    }


def _price(row: dict[str, Any]) -> str:
    return f"{row['price']['input']:g} / {row['price']['output']:g}" if row["price"] else ""


def _names(workspace: Workspace) -> list[str]:
    return [one.name for one in workspace.config.settings.llm.providers]


@llm.command(epilog=options.example("dino llm check", "dino llm check ollama --json"))
@click.argument("names", nargs=-1, metavar="[PROVIDER]...", shell_complete=complete(_names))
@options.as_json
@pass_workspace
def check(workspace: Workspace, names: tuple[str, ...], as_json: bool) -> None:
    """
    Ask each provider whether it is there and has its model; that costs no tokens.

    Exits 4 where none of them can be asked.
    """
    from dino_os.agent_core.opening import (  # noqa: PLC0415  as they are needed
        asked,
        health_of,
        require_library,
    )

    require_library()
    from dino_os.agent_core.checking import check as look  # noqa: PLC0415  the network

    wanted_by(workspace, {})
    chosen = [one for name in names or (None,) for one in asked(workspace, name)]
    near_only = workspace.config.settings.llm.local_only
    found = look(chosen, health_of(workspace), near_only=near_only)
    if as_json:
        output.emit_json({"providers": [one.as_dict() for one in found]})
    else:
        output.table(
            ("provider", "", "where", "model", "reads", "seconds"),
            [
                (
                    one.provider.name,
                    one.why or "ok",
                    {True: "near", False: "elsewhere", None: "?"}[one.near],
                    one.provider.model,
                    f"{one.reads:,}" if one.reads else "?",
                    f"{one.took_s:.3f}",
                )
                for one in found
            ],
            numbers=("reads", "seconds"),
        )
    if not any(one.ok for one in found):
        raise ModelUnavailable(
            "no language model can be asked now",
            hint="`ollama serve` starts a local one; docs/agent.md has others",
        )


llm.add_command(queue)
