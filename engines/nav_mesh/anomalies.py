"""
Anomalies: what the detectors find in the gates' own record, told once, and acted on by rule.

The detectors are part of the fold, so all processes and every later reader find the same.  What
they find waits among `alarms` until a command records it; who is kept out for it is named in an
event of its own, and so is the release.  Only what bears a token of ours keeps somebody out:
else one could have another kept out by sending rubbish in his name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from engines.anomalies import Dependency, Jump, Rate
from engines.checks import at_least, time_text
from engines.errors import InvalidInput
from engines.journal import Event
from engines.nav_mesh.detectors import Breaches
from engines.nav_mesh.rules import HOUR_S, Rules
from engines.nav_mesh.state import ANY, GateState

_MOST_WATCHED = 10_000
_MOST_TARGETS = 1000
_REMEMBERED = 200
_WAVE = 4  # breaches of a whole domain, as a multiple of one subject's
_MOSTLY = 0.5
_STRONG = 10.0
_LONGEST_BLOCK_S = 100 * 366 * 86400.0  # its end is shown as a time
_ALMOST = 0.5  # five that took a while are five all the same


class Anomalies(GateState):
    """The part of the gates that watches."""

    rules: Rules

    def reset(self) -> None:
        super().reset()
        self.rates = {domain: Rate() for domain in self.counts}
        self.breaches: dict[tuple[str, str], Breaches] = {}
        self.dependencies: dict[str, Dependency] = {}
        self.alarms: list[dict[str, Any]] = []
        self.cooling: dict[tuple[str, ...], float] = {}
        self.found: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    def fold_settings(self) -> tuple[Any, ...]:
        return (self.rules.anomalies,)

    # --- commands ----------------------------------------------------------------------------

    def detect_anomalies(self) -> list[dict[str, Any]]:
        """
        What was found within the last hour, oldest first; what is new is recorded.

        Each has type, severity (medium, high, critical), message, timestamp, domain, and further
        subject or target, evidence, and until when the subject is kept out, if it is.
        """
        with self.deciding():
            now = self.clock()
            if any(self._would_jump(rate, now) for rate in self.rates.values()):
                self.record("rates_closed", at=now)
            self.raise_alarms(now)
            return [dict(one) for one in self.found if one["at"] > now - HOUR_S]

    def block(self, domain: str, subject: str, for_s: float, why: str = "by hand") -> float:
        """Keep somebody out for so long; until when that is.  By pseudonym."""
        if at_least(for_s, 1, "for_s") > _LONGEST_BLOCK_S:
            raise InvalidInput(f"nobody is kept out for {for_s:g} s", hint="at most 100 years")
        with self.deciding():
            return self._keep_out(domain, subject, self.clock(), for_s, why)

    def release(self, domain: str, subject: str, why: str = "by hand") -> bool:
        """Let somebody in again who was kept out; False where nobody was.  By pseudonym."""
        with self.deciding():
            held = self.blocks.until(domain, subject, self.clock()) is not None
            if (domain, subject) in self.blocks.set_:  # or it might hold once the clock steps
                self.record("gate_released", domain=domain, subject=subject, why=why)
            return held

    def raise_alarms(self, now: float) -> None:
        """Record what the fold found, and keep out whom the rules say.  Within `deciding()`."""
        block_s = self.rules.anomalies.block_s
        for alarm in list(self.alarms):
            until = now + block_s if block_s and alarm["blockable"] else None
            facts = {name: value for name, value in alarm.items() if name != "blockable"}
            self.record("anomaly_detected", at=now, blocked_until=until, **facts)
            if until:
                self._keep_out(alarm["domain"], alarm["subject"], now, block_s, alarm["kind"])

    def _keep_out(self, domain: str, subject: str, now: float, for_s: float, why: str) -> float:
        until = now + for_s
        facts = {"at": now, "for_s": for_s, "until": until}
        self.record("gate_blocked", domain=domain, subject=subject, **facts, why=why)
        return until

    # --- the fold ----------------------------------------------------------------------------

    def count_request(self, domain: str, subject: str, at: float, count: int) -> None:
        jump = self.rates[domain].add(at, count, subject, self.rules.anomalies)
        if jump:
            self._jumped(domain, jump)

    def apply_rates_closed(self, event: Event) -> None:
        for domain, rate in self.rates.items():
            if jump := rate.advance(event["at"], self.rules.anomalies):
                self._jumped(domain, jump)

    def count_breach(self, event: Event) -> None:
        rule = self.rules.anomalies
        for subject in dict.fromkeys((event["subject"], ANY)):
            limit = rule.breaches * (_WAVE if subject == ANY else 1)
            seen = self._watched(event["domain"], subject)
            seen.add(
                event["at"],
                event["count"],
                event["rule"],
                rule.breach_half_life_s,
                proven=event["proven"],
            )
            self._breached(event["domain"], subject, seen, limit)

    def note_dependency(self, target: str, *, ok: bool, at: float) -> None:
        """Told by the fold of each call of *target*, whether it was answered."""
        known = self.dependencies.setdefault(target, Dependency())
        if known.add(ok=ok):
            self._alarm(
                at,
                kind="failing_dependency",
                severity="high",
                domain=None,
                target=target,
                message=f"{target} does not answer: {known.in_a_row} failures in a row",
                evidence={"ok": known.ok, "failed": known.failed, "in_a_row": known.in_a_row},
            )
        if len(self.dependencies) > _MOST_TARGETS:
            del self.dependencies[next(iter(self.dependencies))]

    def apply_anomaly_detected(self, event: Event) -> None:
        key = _key(event)
        self.alarms = [alarm for alarm in self.alarms if _key(alarm) != key]
        at = event["at"]
        self.cooling = {one: until for one, until in self.cooling.items() if until > at}
        self.cooling[key] = at + self.rules.anomalies.cool_down_s
        names = ("severity", "message", "domain", "subject", "target", "evidence", "blocked_until")
        told = {name: event[name] for name in names if name in event}
        self.found.append({"type": event["kind"], "timestamp": time_text(at), "at": at, **told})

    # --- below the face ----------------------------------------------------------------------

    def _would_jump(self, rate: Rate, now: float) -> bool:
        due = rate.count >= self.rules.anomalies.least and now >= rate.ends
        return due and deepcopy(rate).advance(now, self.rules.anomalies) is not None

    def _watched(self, domain: str, subject: str) -> Breaches:
        key = domain, subject
        seen = self.breaches.pop(key, None) or Breaches()
        self.breaches[key] = seen  # the one seen last stands last
        if len(self.breaches) > _MOST_WATCHED:
            del self.breaches[next(one for one in self.breaches if one[1] != ANY)]
        return seen

    def _breached(self, domain: str, subject: str, seen: Breaches, limit: float) -> None:
        by_all = subject == ANY
        misuse = not by_all and seen.proven > limit - _ALMOST
        if not misuse and seen.score <= limit - _ALMOST:
            return
        rules = dict(seen.rules.most_common(5))
        told = ", ".join(f"{rule} {count}" for rule, count in rules.items())
        kind = "breach_wave" if by_all else "token_misuse" if misuse else "breach_pattern"
        self._alarm(
            seen.at,
            kind=kind,
            severity="critical" if by_all else "high",
            domain=domain,
            subject=subject,
            message=f"breaches at {domain}{'' if by_all else f' by {subject}'}: {told}",
            evidence={
                "rules": rules,
                "since": time_text(seen.since),
                "score": round(seen.score, 2),
            },
            blockable=misuse,
        )
        seen.calm(misuse=misuse)

    def _jumped(self, domain: str, jump: Jump) -> None:
        mostly = jump.share >= _MOSTLY and jump.subject not in {"", ANY}
        width = self.rules.anomalies.bucket_s
        self._alarm(
            jump.at,
            kind="rate_spike",
            severity="high" if jump.score >= _STRONG else "medium",
            domain=domain,
            subject=jump.subject if mostly else ANY,
            message=f"{jump.count} requests at {domain} within {width:g} s, where "
            f"{jump.expected:g} are usual" + (f"; mostly of {jump.subject}" if mostly else ""),
            evidence={
                "count": jump.count,
                "expected": jump.expected,
                "score": jump.score,
                "share": round(jump.share, 3),
            },
            blockable=mostly,
        )

    def _alarm(self, at: float, *, blockable: bool = False, **facts: Any) -> None:
        key = _key(facts)
        waits = any(_key(alarm) == key for alarm in self.alarms)
        if not waits and self.cooling.get(key, 0.0) <= at:
            self.alarms.append({**facts, "blockable": blockable})


def _key(alarm: Mapping[str, Any]) -> tuple[str, ...]:
    who = alarm.get("subject") or alarm.get("target") or ""
    return str(alarm["kind"]), str(alarm.get("domain") or ""), str(who)
