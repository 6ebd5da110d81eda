"""Gates, keys and permissions, checkpoints, and synchronisations."""

from __future__ import annotations

from collections.abc import Mapping

from dino_os.provenance.mapping.terms import (
    Mapper,
    activity,
    agent,
    by,
    entity,
    facts,
    line_of,
    taken,
    used,
    who_wrote,
)
from engines.journal import Event
from engines.provenance import Edge, Tapped

_DENIED = {"gate_denied", "gate_limited", "gate_blocked"}


def passage(journal: str, event: Event) -> Tapped:
    """Somebody at a gate, as the pseudonym that the gate knows."""
    here = line_of(journal, event, "passage")
    nodes, edges = [activity(here, domain=event["domain"])], list[Edge]()
    if subject := event.get("subject"):
        nodes.append(agent(f"subject:{subject}"))
        edges.append(by(here, f"subject:{subject}"))
    if token := event.get("token"):
        nodes.append(entity(f"token:{token}"))
        edges.append(used(here, f"token:{token}"))
    outcome = "denied" if event["event_type"] in _DENIED else "ok"
    fields = ("domain", "subject", "rule", "count")
    return taken(journal, event, fields, nodes=nodes, edges=edges, outcome=outcome)


def key_access(journal: str, event: Event) -> Tapped:
    """A key was handed out, changed or refused; its value is in no journal."""
    doing = line_of(journal, event, "access")
    run, key, who = event.get("run"), f"key:{event['key']}", f"agent:{event['entity']}"
    nodes = [activity(doing), entity(key), agent(who)]
    edges = [used(doing, key), by(doing, who)]
    if run and event["event_type"] == "key_accessed":
        nodes.append(activity(f"run:{run}"))
        edges.append(used(f"run:{run}", key))
    outcome = "ok" if event.get("result", "ok") == "ok" else "denied"
    fields = ("entity", "key", "version", "result")
    return taken(journal, event, fields, nodes=nodes, edges=edges, outcome=outcome, run=run)


def sync_ended(journal: str, event: Event) -> Tapped:
    sync, remote = line_of(journal, event, "sync"), f"remote:{event['remote']}"
    nodes = [activity(sync, direction=event["direction"]), entity(remote)]
    nodes += (whom := who_wrote(event))
    edges = [used(sync, remote), *(by(sync, one.id) for one in whom)]
    outcome = "ok" if event.get("ok") else "error"
    fields = ("direction", "remote", "docs_written", "docs_read", "reason")
    return taken(journal, event, fields, nodes=nodes, edges=edges, outcome=outcome)


GATES: Mapping[str, Mapper] = {
    **dict.fromkeys(("gate_allowed", "gate_denied", "gate_limited", "gate_queued"), passage),
    "gate_token_issued": facts("domain", "subject", "expires"),
    "gate_revoked": facts("domain", "number"),
    "gate_blocked": facts("domain", "subject", "for_s", "why"),
    "gate_released": facts("domain", "subject", "why"),
    "gate_key_added": facts("domain", "key"),
    "gate_key_retired": facts("domain", "key"),
    "anomaly_detected": facts("kind", "severity", "domain"),
    "route_switched": facts("domain", "kind", "was"),
    "route_ejected": facts("domain", "route", "cause"),
    "route_returned": facts("domain", "route"),
    "request_queued": facts("domain"),
}
_KEYS = ("key_accessed", "key_set", "key_deleted", "key_staged", "key_rotated", "key_rolled_back")
SECURITY: Mapping[str, Mapper] = {
    **dict.fromkeys(_KEYS, key_access),
    "key_denied": facts("entity", "key", "result", "run"),
    "permission_granted": facts("entity", "to", "permission"),
    "permission_revoked": facts("entity", "to", "permission"),
    "skill_granted": facts("entity", "skill", "source_sha256"),
    "skill_revoked": facts("entity", "skill"),
    "sandbox_overridden": facts("entity", "skill", "source_sha256", "because"),
    "unlock_failed": facts("entity", "kind", "result"),
}
CHECKPOINTS: Mapping[str, Mapper] = {
    "checkpoint_signed": facts("journal", "size", "root"),
    "checkpoint_cosigned": facts("journal", "size"),
}
SYNCS: Mapping[str, Mapper] = {
    "sync_ended": sync_ended,
    "sync_failed": facts("direction", "remote", "reason"),
}
