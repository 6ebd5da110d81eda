"""What `dino entity` shows: all entities, one of them, its record, the life cycle."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.entity_manager import Entity
    from engines.journal import Event

_STATES = (
    *("hibernating", "awakening", "active", "error_correction", "offline_adapting"),
    "deactivated",
)
_TIMES = ("since", "last_heartbeat", "next_due", "recover_at")
_TOLD_ELSEWHERE = frozenset({"by", "at", "entity_id"})

_complete_ids = complete(lambda w: [one.entity_id for one in w.entities.list_entities()])
entity_id_argument = click.argument("entity_id", metavar="ID", shell_complete=_complete_ids)


@click.command(
    "list", epilog=options.example("dino entity list --state active", "dino entity list --watch")
)
@click.option("--state", type=click.Choice(_STATES), help="Only those in that state.")
@options.watching
@options.as_json
@pass_workspace
def list_entities(workspace: Workspace, state: str | None, watch: bool, as_json: bool) -> None:
    """Every entity, in the order in which they were made."""
    manager = workspace.entities

    def look() -> dict[str, Any]:
        manager.refresh()
        return {"entities": [shown(one) for one in manager.list_entities(state)]}

    def render(_: Any) -> None:
        _table(manager.list_entities(state))

    output.live(look, render, watch=watch, as_json=as_json)


@click.command(epilog=options.example("dino entity status", "dino entity status greeter --json"))
@click.argument("entity_id", metavar="[ID]", required=False, shell_complete=_complete_ids)
@options.as_json
@pass_workspace
def status(workspace: Workspace, entity_id: str | None, as_json: bool) -> None:
    """One entity, or how many there are in which state; exits 1 where one is not healthy."""
    if entity_id is None:
        document = summary(workspace)
        lines = [f"{name.replace('_', ' '):<17} {n}" for name, n in document["states"].items()]
        lines.append(f"{'not healthy':<17} {', '.join(document['unhealthy']) or 'none'}")
        healthy = not document["unhealthy"]
    else:
        from dino_os.entities import operating  # noqa: PLC0415

        found = operating.find(workspace, entity_id)
        document = shown(found)
        lines = [f"{name:<17} {value}" for name, value in _details(found).items()]
        healthy = document["healthy"]
    output.answer(document, "\n".join(lines), as_json=as_json)
    if not healthy:
        click.get_current_context().exit(1)


@click.command(epilog=options.example("dino entity logs greeter --show 50"))
@entity_id_argument
@options.show
@options.as_json
@pass_workspace
def logs(workspace: Workspace, entity_id: str, show: int, as_json: bool) -> None:
    """What became of an entity, as it was recorded, newest last, and its last runs."""
    from dino_os.entities import operating  # noqa: PLC0415
    from engines.journal import RESERVED  # noqa: PLC0415

    found = operating.find(workspace, entity_id)
    told_elsewhere = RESERVED | _TOLD_ELSEWHERE
    events = deque(_events(workspace, entity_id), maxlen=show or None)
    source = f"entity:{found.entity_id}"
    runs = workspace.resources.tasks(source=source)[-show if show else 0 :]
    if as_json:
        document = {"entity": shown(found), "events": list(events)}
        output.emit_json(document | {"runs": [task.as_dict() for task in runs]})
        return
    for event in events:
        facts = " ".join(
            f"{name}={_fact(name, value)}"
            for name, value in event.items()
            if name not in told_elsewhere and value not in (None, "", False, {})
        )
        told = event["event_type"].removeprefix("entity_").replace("_", " ")
        output.say(f"{_time(event['timestamp'])}  {told}  {facts}")
    if runs:
        output.say()
        rows = [
            (task.task_id, task.state.value, task.outcome or "", task.attempts, _error(task))
            for task in runs
        ]
        output.table(("run", "state", "outcome", "attempts", "error"), rows, numbers=("attempts",))


@click.command(epilog=options.example("dino entity diagram"))
@options.as_json
def diagram(as_json: bool) -> None:
    """The life cycle of entities, as a Mermaid state diagram."""
    from engines.entity_manager import TRANSITIONS, state_diagram  # noqa: PLC0415

    moves = [
        {"from": state.value, "command": command.value, "to": after.value}
        for (state, command), after in TRANSITIONS.items()
    ]
    output.answer({"transitions": moves}, state_diagram(), as_json=as_json)


def _table(entities: Sequence[Entity]) -> None:
    if not entities:
        output.say("no entities; `dino entity spawn` makes one")
        return
    rows = [
        (
            one.entity_id,
            one.entity_type,
            one.state.replace("_", " "),
            f"{one.health:.0f}",
            one.tasks_completed,
            one.tasks_failed,
            _does(one),
        )
        for one in entities
    ]
    columns = ("entity", "type", "state", "health", "done", "failed", "does")
    output.table(columns, rows, numbers=("health", "done", "failed"))
    notes = [(one.entity_id, _ails(one) or one.reason) for one in entities]
    if any(note for _, note in notes):
        output.say()  # below: as a column they would leave the others no room
    for entity_id, note in notes:
        if note:
            output.say(f"{entity_id}: {note}")


def shown(entity: Entity) -> dict[str, Any]:
    """All of it as JSON, times as text."""
    stats = entity.get_stats()
    return stats | {name: stats[name] and _time(stats[name]) for name in _TIMES}


def summary(workspace: Workspace) -> dict[str, Any]:
    """How many there are in which state, and who is not healthy."""
    manager = workspace.entities
    ailing = [one.entity_id for one in manager.list_entities() if _ails(one)]
    status = manager.get_status()
    del status["entities"]
    return status | {"unhealthy": ailing}


def _details(entity: Entity) -> dict[str, Any]:
    told = shown(entity)
    needs = ", ".join(f"{amount} {pool}" for pool, amount in told["resource_requirement"].items())
    rows = {
        "entity": f"{entity.entity_id} ({entity.entity_type})",
        "state": f"{entity.state.replace('_', ' ')} since {told['since']}",
        "why": entity.reason,
        "health": f"{entity.health:.0f}" + (f": {_ails(entity)}" if _ails(entity) else ""),
        "heartbeat": told["last_heartbeat"],
        "does": _does(entity),
        "holds while awake": needs,
        "runs": f"{entity.tasks_completed} done, {entity.tasks_failed} failed",
        "errors": f"{entity.error_count}, {entity.recovery_attempts} error corrections",
        "running": told["running"],
        "next run": told["next_due"],
        "recovery": told["recover_at"],
    }
    return {name: value for name, value in rows.items() if value}


def _does(entity: Entity) -> str:
    work = entity.work
    if work is None:
        return ""
    when = f"on {work.channel}" if work.channel else f"every {work.every_s:g} s"
    return f"{work.skill} {when}"


def _ails(entity: Entity) -> str:
    """Why an entity is not healthy that ought to be."""
    return "" if entity.state in {"hibernating", "deactivated"} else entity.ailment


def _events(workspace: Workspace, entity_id: str) -> Any:
    from engines.journal import RecordedJournal  # noqa: PLC0415

    journal = RecordedJournal(workspace.memory / "entities.jsonl")

    def is_its_own(event: Event) -> bool:
        return bool(event.get("entity_id") == entity_id)

    for events, _ in journal.read(journal.begin()):
        yield from filter(is_its_own, events)


def _fact(name: str, value: Any) -> str:
    if name in _TIMES:
        return _time(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _error(task: Any) -> str:
    return str((task.error or {}).get("message") or "")


def _time(seconds: float) -> str:
    from engines.checks import from_epoch, rfc3339  # noqa: PLC0415

    return rfc3339(from_epoch(seconds).replace(microsecond=0))
