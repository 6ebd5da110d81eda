"""
What a line of a journal is about, by the names it bears: `run:…`, `task:…`, `order:…`, `cycle:…`.

A line is *about* all that it names, and *leads* to what it names for itself alone: one that names
many things of a kind, as a lease of tasks does, belongs to each of them and leads from none to the
others.  docs/audit.md has the table; what is not in it, no report follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engines.journal import Event

_OWN = {
    "run_id": "run",
    "run": "run",
    "parent_run": "run",
    "parent_run_id": "run",
    "task_id": "task",
    "delivery": "task",
    "order_id": "order",
    "cycle": "cycle",
}
_LISTS = {"tasks": "task", "cancels": "task", "deliveries": "task"}
_READ = frozenset({*_OWN, *_LISTS})
_MORE = frozenset(
    {"error", "metadata", "batch", "source", "source_sha256", "reference", "key", "number"}
)
_ALWAYS_READ = {"bus", "memory_log"}
_ENTRY = ("namespace", "key", "sha256")
_OF_JOBS = {"job_added", "job_changed", "job_paused", "job_resumed", "job_removed"}
_parent = re.compile(r"(order|cycle)[:-]([^:]+)").match
_message = re.compile(r"bus:.*#([0-9]+)").fullmatch
_NOTHING: frozenset[str] = frozenset()


class Named(NamedTuple):
    """What a line is about, and where it leads to."""

    about: frozenset[str] | set[str]
    leads: frozenset[str] | set[str]


NOTHING = Named(_NOTHING, _NOTHING)


def named(journal: str, event: Event) -> Named:
    """What that line of *journal* names."""
    names = event.keys()
    if journal not in _ALWAYS_READ and names.isdisjoint(_READ) and names.isdisjoint(_MORE):
        if event["event_type"] in _OF_JOBS:
            return Named({f"job:{event.get('job_id')}"}, _NOTHING)
        return NOTHING
    leads = {thing for member, kind in _OWN.items() for thing in _thing(event, member, kind)}
    leads |= set(_in_its_journal(journal, event))
    if isinstance(event.get("error"), dict):
        leads |= set(_thing(event["error"], "run_id", "run"))
    about = set(leads)
    for member, kind in _LISTS.items():
        about |= {f"{kind}:{one}" for one in _texts(event.get(member))}
    if isinstance(event.get("metadata"), dict):
        about |= set(_thing(event["metadata"], "cycle", "cycle"))
    # A task says in its name for what it was made; that is where it belongs, and no way further.
    for text in (*about, *_texts([event.get("batch"), event.get("source")])):
        if parent := _parent(text.removeprefix("task:")):
            about.add(f"{parent[1]}:{parent[2]}")
    return _by_their_place(journal, event, about, leads)


def _in_its_journal(journal: str, event: Event) -> Iterable[str]:
    """Names that mean something in that journal alone."""
    if journal in {"orders", "sandbox_payments"}:
        if "number" in event or journal == "sandbox_payments":
            yield from _thing(event, "key", "payment")
        yield from _thing(event, "reference", "payment")
    elif journal == "entities" and "number" in event:
        yield f"task:entity:{event.get('entity_id')}#{event['number']}"


def _by_their_place(journal: str, event: Event, about: set[str], leads: set[str]) -> Named:
    """What members mean otherwise than elsewhere in some journals."""
    source = set(_thing(event, "source_sha256", "source"))
    if journal in {"cycles", "assignments"}:  # tasks are numbered within a cycle, or a plan
        own = {thing for thing in leads if thing.startswith("task:")}
        of_cycle = {f"task:cycle:{event.get('cycle')}:{one.removeprefix('task:')}" for one in own}
        about, leads = (about - own) | of_cycle, (leads - own) | of_cycle
    elif journal == "security_log" and "skill" in event:
        about |= source  # who allowed what that version of a skill does
    elif journal == "runs":
        leads |= source | set(_touched(event.get("memory")))
    elif journal == "memory_log":
        changed = event.get("entries_changed")
        entries = changed if isinstance(changed, list) else [event]
        about |= {_revision(one) for one in entries if isinstance(one, dict) and "sha256" in one}
    elif journal == "bus":
        about.add(f"message:{event['seq']}")
    elif journal == "scheduler" and "task_id" in event:
        leads |= set(_thing(event, "job_id", "job"))
    elif journal == "engine_state" and (message := _message(str(event.get("task_id")))):
        leads.add(f"message:{message[1]}")
    return Named(about, leads)


def _touched(memory: Any) -> Iterable[str]:
    """The revisions of entries of the memory that a run read or wrote."""
    for entries in memory.values() if isinstance(memory, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, list) and len(entry) == len(_ENTRY):
                yield _revision(dict(zip(_ENTRY, entry, strict=True)))


def _revision(entry: Mapping[str, Any]) -> str:
    return f"memory:{entry.get('namespace') or ''}/{entry.get('key')}@{entry.get('sha256')}"


def _thing(facts: Any, member: str, kind: str) -> Iterable[str]:
    value = facts.get(member)
    if (isinstance(value, str) and value) or type(value) is int:
        yield f"{kind}:{value}"


def _texts(found: Any) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
