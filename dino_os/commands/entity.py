"""`dino entity`: supervised workers: making them, and moving them from state to state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.entity_shown import (
    diagram,
    entity_id_argument,
    list_entities,
    logs,
    shown,
    status,
    summary,
)
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.entity_manager import Entity

_TYPES = ("worker", "analyzer", "monitor", "orchestrator")
_LIMITS = ("max_failures", "within_s", "backoff_s", "max_corrections", "corrections_within_s")

_reason = click.option("--reason", default="", metavar="TEXT", help="For people; is recorded.")


@click.group(
    epilog=options.example("dino entity", "dino entity status gauge-reader"),
    invoke_without_command=True,
)
@click.pass_context
@options.watching
@options.as_json
def entity(ctx: click.Context, watch: bool, as_json: bool) -> None:
    """Supervised workers: their states, and what they did."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_entities, state=None, watch=watch, as_json=as_json)


for _command in (list_entities, status, logs, diagram):
    entity.add_command(_command)


@entity.command(
    epilog=options.example(
        'dino entity spawn greeter --skill hello --every 30s --params \'{"name": "Ada"}\'',
        "dino entity spawn clerk --type analyzer --skill file --on reports --needs compute=1",
    )
)
@click.argument("entity_id", metavar="ID")
@click.option("--type", "kind", type=click.Choice(_TYPES), default="worker", show_default=True)
@click.option("--skill", metavar="NAME", help="What it runs, with --every or --on.")
@click.option(
    "--every", "every_s", type=options.DURATION, help="Once in so long, for example 30s or 5m."
)
@click.option("--on", "channel", metavar="CHANNEL", help="Once for each message of that channel.")
@click.option("--params", metavar="JSON", help="Parameters of the skill, as one JSON object.")
@click.option("--needs", multiple=True, metavar="POOL=AMOUNT", help="What it holds while awake.")
@click.option("--from-now", is_flag=True, help="On awakening leave out messages it slept through.")
@click.option("--from-start", is_flag=True, help="Begin with the first message on record.")
@click.option("--max-failures", type=click.IntRange(min=1), help="So many failed runs …")
@click.option(
    "--within", "within_s", type=options.DURATION, help="… in so long make an error correction."
)
@click.option(
    "--backoff",
    "backoff_s",
    type=options.DURATION,
    help="How long the second of these takes; then twice.",
)
@click.option("--max-corrections", type=click.IntRange(min=1), help="More of them than this …")
@click.option(
    "--corrections-within",
    "corrections_within_s",
    type=options.DURATION,
    help="… in so long, and it hibernates.",
)
@click.option("--awake", is_flag=True, help="Awaken it at once.")
@options.as_json
@pass_workspace
def spawn(
    workspace: Workspace,
    entity_id: str,
    kind: str,
    needs: tuple[str, ...],
    params: str | None,
    awake: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """
    Make an entity, which hibernates until it is awakened.

    A skill that runs per message gets it as its parameter `message`; where it has none, the
    message is an object whose members are the parameters.
    """
    from dino_os.entities import operating  # noqa: PLC0415

    limits = {name: said for name in _LIMITS if (said := given.pop(name)) is not None}
    made = operating.spawn(
        workspace,
        entity_id,
        kind,
        _amounts(needs),
        params=options.json_object(params, "--params"),
        limits=replace(workspace.entities.limits, **limits),
        **given,
    )
    if awake:
        operating.awaken(workspace, made.entity_id)
    _answer(made, as_json=as_json)


@entity.command(epilog=options.example("dino entity awaken greeter"))
@entity_id_argument
@options.as_json
@pass_workspace
def awaken(workspace: Workspace, entity_id: str, as_json: bool) -> None:
    """Put a hibernating entity to work; exits 4 where what it needs is not free."""
    from dino_os.entities import operating  # noqa: PLC0415

    _answer(operating.awaken(workspace, entity_id), as_json=as_json)


@entity.command(epilog=options.example('dino entity hibernate greeter --reason "a holiday"'))
@entity_id_argument
@_reason
@options.as_json
@pass_workspace
def hibernate(workspace: Workspace, entity_id: str, reason: str, as_json: bool) -> None:
    """Have an entity rest; a run under way comes to its end."""
    _move(workspace, entity_id, "hibernate", reason, as_json=as_json)


@entity.command(epilog=options.example("dino entity deactivate greeter"))
@entity_id_argument
@_reason
@options.as_json
@pass_workspace
def deactivate(workspace: Workspace, entity_id: str, reason: str, as_json: bool) -> None:
    """End an entity for good; a run under way is cancelled."""
    _move(workspace, entity_id, "deactivate", reason, as_json=as_json)


@entity.command(epilog=options.example("dino entity recover greeter"))
@entity_id_argument
@options.as_json
@pass_workspace
def recover(workspace: Workspace, entity_id: str, as_json: bool) -> None:
    """Put an entity to work again that is in error correction or offline."""
    from dino_os.entities import operating  # noqa: PLC0415

    offline = operating.find(workspace, entity_id).state == "offline_adapting"
    _move(workspace, entity_id, "back_online" if offline else "recover", "", as_json=as_json)


@entity.command(epilog=options.example("dino entity offline greeter"))
@entity_id_argument
@_reason
@options.as_json
@pass_workspace
def offline(workspace: Workspace, entity_id: str, reason: str, as_json: bool) -> None:
    """Treat an entity's routes as down; it is back once one of them answers."""
    _move(workspace, entity_id, "offline_adapt", reason, as_json=as_json)


@entity.command(epilog=options.example("dino entity run", "dino entity run --once"))
@click.option("--once", is_flag=True, help="Do what is due now, and end.")
@options.as_json
@pass_workspace
def run(workspace: Workspace, once: bool, as_json: bool) -> None:
    """Look after the entities until interrupted; `dino scheduler start` does so too."""
    from dino_os.entities import EntityDuty  # noqa: PLC0415
    from dino_os.work.service import Service  # noqa: PLC0415

    Service(workspace, [EntityDuty(workspace)]).run(once=once)
    workspace.entities.refresh()
    output.answer(summary(workspace), "the entities are left to themselves", as_json=as_json)


def _move(
    workspace: Workspace, entity_id: str, command: str, reason: str, *, as_json: bool
) -> None:
    from dino_os.entities import operating  # noqa: PLC0415
    from engines.entity_manager import Command  # noqa: PLC0415

    _answer(operating.move(workspace, entity_id, Command(command), reason), as_json=as_json)


def _answer(found: Entity, *, as_json: bool) -> None:
    told = f"entity {found.entity_id!r} is {found.state.replace('_', ' ')}"
    output.answer(shown(found), told, as_json=as_json)


def _amounts(needs: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for text in needs:
        pool, _, amount = text.partition("=")
        if not (amount.isascii() and amount.isdigit()):
            raise InvalidInput(f"--needs: expected POOL=AMOUNT, as in compute=1, found {text!r}")
        found[pool] = int(amount)
    return found
