"""
A decision of the record, made once more: from the lines before it, and from what it says itself.

Neither the token's text nor a name is in the record, so what rests on them alone cannot be decided
again: a signature, a spelling, the cell, flow and path that were asked for.  All else can, by the
rules as they are set now.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from engines.checks import time_text
from engines.errors import InvalidInput, NotFound
from engines.journal import START, Event, Journal, VolatileJournal
from engines.nav_mesh.anomalies import Anomalies
from engines.nav_mesh.decisions import REASONS, Asked, refusal
from engines.nav_mesh.rules import Rules
from engines.nav_mesh.tokens import Claims
from engines.snapshot import SnapshotFile

_DECISIONS = frozenset({"gate_allowed", "gate_denied", "gate_limited", "gate_queued"})
_OF_THE_REQUEST = frozenset(
    {"wrong_cell", "wrong_flow", "wrong_path", "not_admitted", "wrong_user_id"}
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What was decided, and what is decided now on the same grounds.

    Attributes:
        recorded: The rule that the record names; `found`: the one that decides now, or None.
        agrees: Whether they are the same; None where it cannot be decided again.
        note: Why not.
        token: What is known of the token.
    """

    seq: int
    at: float
    domain: str
    subject: str
    recorded: str
    reason: str
    found: str | None
    agrees: bool | None
    note: str | None
    token: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": time_text(self.at)}


class _Past(Anomalies):
    """The state as it was, and the tokens that were issued until then."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.issued: dict[str, Event] = {}
        super().__init__()

    def fold(self, event: Event) -> None:
        self._apply(event)

    def begin_with(self, state: dict[str, Any]) -> None:
        vars(self).update({name: state[name] for name in self._state_names if name in state})

    def apply_gate_token_issued(self, event: Event) -> None:
        super().apply_gate_token_issued(event)
        self.issued[event["token"]] = event


def explain(journal: Journal | VolatileJournal, rules: Rules, seq: int) -> Explanation:
    """
    Decide line *seq* of the gate log once more.

    Raises:
        NotFound: There is no such line, or it was pruned.
        InvalidInput: It is no decision.
    """
    past = _Past(rules)
    folded_to = _begin(journal, past, seq)
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event["seq"] == seq:
                return _explained(event, past)
            if event["seq"] >= folded_to:
                past.fold(event)
            elif event["event_type"] == "gate_token_issued":
                past.apply_gate_token_issued(event)
    raise NotFound(f"no line {seq} in the gate log", hint="`dino gate log` shows the last ones")


def _begin(journal: Journal | VolatileJournal, past: _Past, seq: int) -> int:
    """From which line on to fold: behind what was pruned, on the state that was kept of it."""
    path = journal.snapshot_path
    if path is None or journal.begin() == START:
        return 0
    base = SnapshotFile(path.with_suffix(".base")).load(None)
    if base is None or seq < base.position.seq:
        raise NotFound(f"line {seq} of the gate log was pruned, or what came before it was")
    past.begin_with(base.state)
    return base.position.seq


def _explained(event: Event, past: _Past) -> Explanation:
    kind = event["event_type"]
    if kind not in _DECISIONS:
        raise InvalidInput(f"line {event['seq']} is no decision of a gate, but {kind!r}")
    recorded = {"gate_allowed": "ok", "gate_limited": "rate_limited", "gate_queued": "queued"}
    rule = event.get("rule") or recorded[kind]
    issued = past.issued.get(event.get("token", ""))
    note = _why_not(event, rule, issued)
    found = None if note else _decided_again(event, past, issued)
    return Explanation(
        event["seq"],
        event["at"],
        event["domain"],
        event["subject"],
        rule,
        REASONS[rule],
        found,
        None if note else found == rule,
        note,
        _facts(issued) if issued else None,
    )


def _why_not(event: Event, rule: str, issued: Event | None) -> str | None:
    if event.get("count", 1) > 1:
        return f"it stands for {event['count']} requests that were counted together"
    if event["event_type"] == "gate_queued":
        return None
    if rule in _OF_THE_REQUEST:
        return "it rests on what was asked for, which is not in the record"
    if "token" not in event and rule != "rate_limited":
        return "it rests on the token's text, which is not in the record"
    if "token" in event and issued is None:
        return "the record does not have that this token was issued"
    return None


def _decided_again(event: Event, past: _Past, issued: Event | None) -> str:
    domain, subject, at = event["domain"], event["subject"], event["at"]
    # Who is admitted is known by name, and the record has none.
    rule = replace(past.rules.by_name()[domain], subjects=())
    table, answer = past.queueing, "queued"
    if issued is not None:
        claims = _claims(issued)
        asked = Asked(domain, subject, subject, claims.flow, claims.path, claims.cell)
        if why := refusal(claims, asked, past, rule, at):
            return why
        table, answer = past.passing, "ok"
    return "rate_limited" if table.wait_s(domain, subject, rule.rate_per_minute, at) else answer


def _claims(issued: Event) -> Claims:
    """The token's claims; its subject stands in the record as a pseudonym."""
    return Claims(
        *(issued["token"], issued["domain"], issued["subject"]),
        *(issued["issued"], issued["not_before"], issued["expires"]),
        flow=issued.get("flow", ""),
        path=issued.get("path", ""),
        once=issued.get("once", False),
        parents=tuple(issued.get("parents", ())),
        key_id=issued["key"],
        cell=issued.get("cell", ""),
        number=issued.get("number", 0),
    )


def _facts(issued: Event) -> dict[str, Any]:
    found = asdict(_claims(issued))
    times = {name: time_text(found[name]) for name in ("issued", "not_before", "expires")}
    return {**found, **times, "parents": list(found["parents"])}
