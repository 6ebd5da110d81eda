"""The gates of a workspace: their counts, and how they come to their journal and their keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from engines.home import identity, own_journal, workspace_root
from engines.journal import Journal, VolatileJournal
from engines.nav_mesh.explain import Explanation, explain
from engines.nav_mesh.issuing import Issuing
from engines.nav_mesh.keys import FileKeys, Keys, MemoryKeys, installed_keys
from engines.nav_mesh.rules import Rules
from engines.nav_mesh.state import UNKNOWN


class Gates(Issuing):
    """
    Issues tokens, and decides by them who may pass.

    Args:
        gate_log_path: The journal's file, and its keys beside it in `NAME.keys`; None is the
            workspace's own, and its keys those that are installed (`dino.gate_keys`).
        journal: Instead of a file, where one is open already.
        keys: Where the private keys are, if elsewhere.
        issuer: What tells this workspace from every other; asked when the first token is issued.
        rules: How strict the gates are.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        gate_log_path: str | Path | None = None,
        *,
        journal: Journal | VolatileJournal | None = None,
        keys: Keys | None = None,
        issuer: Callable[[], str] | None = None,
        rules: Rules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if journal is None and gate_log_path is None:
            memory = workspace_root() / "memory"
            issuer = issuer or (lambda: f"dino.local/{identity(memory)}")
            keys = keys or installed_keys(memory)
        journal = journal or own_journal("gate_log", gate_log_path, clock=clock)
        self.rules = rules or Rules()
        self._prepare(keys or _keys_beside(journal))
        self._prepare_signing(issuer or (lambda: f"dino.local/{uuid4().hex}"))
        super().__init__(cast("Journal", journal), clock=clock)

    def get_status(self) -> dict[str, Any]:
        """
        Requests, gates, keys and anomalies, as they are now.

        Among the gates `unknown` stands where somebody tried to narrow what no gate has signed.
        """
        self.refresh()
        now, gates = self.clock(), {name: self.gate_stats(name) for name in self.counts}
        if not gates[UNKNOWN]["total_requests"]:
            del gates[UNKNOWN]
        return {
            "total_navigations": sum(gate["total_requests"] for gate in gates.values()),
            "path_switches": 0,
            "gates": gates,
            "routes": {},
            "anomalies": [dict(one) for one in self.found],
            "blocked": [
                {"domain": domain, "subject": subject, "until": until}
                for domain, subject in self.blocks.set_
                if (until := self.blocks.until(domain, subject, now)) is not None
            ],
        }

    def explain(self, seq: int) -> Explanation:
        """
        Line *seq* of the gate log, decided once more.

        Raises:
            NotFound: There is no such line, or it was pruned.
            InvalidInput: It is no decision.
        """
        return explain(self.journal, self.rules, seq)

    def gate_stats(self, domain: str) -> dict[str, Any]:
        """What became of requests at that gate."""
        found, waiting = self.counts[domain], self._flood.waiting(domain)
        live, rule = self._live_key(domain), self.rules.by_name().get(domain)
        denied, breaches = found.denied, found.breaches
        untold = self._flood.waiting(domain, "rate_limited")
        limited = found.limited + untold
        denied, breaches = denied + waiting - untold, breaches + waiting - untold
        passing = found.allowed + found.queued
        total = passing + denied + limited
        return {
            "domain": domain,
            "total_requests": total,
            "total_allowed": passing,
            "total_denied": denied + limited,
            "total_queued": found.queued,
            "rate_limited": limited,
            "breach_attempts": breaches + found.passed,
            "breaches_blocked": breaches,
            "success_rate": passing / total if total else 1.0,
            "recent_breaches": list(found.recent),
            "rate_per_minute": rule.rate_per_minute if rule else None,
            "token_s": rule.token_s if rule else None,
            "key": live.key_id if live else None,
            "old_keys": [
                {"key": key.key_id, "until": key.until}
                for key in self.keys.values()
                if key.domain == domain and key.until is not None and key.until > self.clock()
            ],
        }


def _keys_beside(journal: Journal | VolatileJournal) -> Keys:
    path: Path | None = getattr(journal, "path", None)
    return FileKeys(path.with_suffix(".keys")) if path else MemoryKeys()
