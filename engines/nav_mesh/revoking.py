"""
Tokens are taken back: one with all that came from it, a user's, a domain's, those of a time.

Owns what a revocation says in the record, and what was let through before it; whether it means a
token is asked at each decision, in decisions.py.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from engines.checks import finite
from engines.errors import InvalidInput
from engines.nav_mesh import tokens
from engines.nav_mesh.deciding import Domain
from engines.nav_mesh.decisions import REASONS
from engines.nav_mesh.signing import Signing


class Revoking(Signing):
    """The part of the gates that takes tokens back."""

    # --- commands ----------------------------------------------------------------------------

    def revoke(
        self,
        *,
        token_id: str | None = None,
        subject: str | None = None,
        domain: Domain | None = None,
        before: float | None = None,
        since: float | None = None,
    ) -> dict[str, int]:
        """
        Take back a token with all that came from it, or what was issued before some time.

        Args:
            token_id: Its id; it goes alone.
            subject: Only this user's tokens; `domain`: only those for this domain.
            before: Of what was issued so far only what was issued before then.
            since: From when on it was in wrong hands: what it opened since is counted as breaches
                that were let through.

        Returns:
            Domain → how many those are.

        Raises:
            InvalidInput: Nothing is named, or no token can have that id.
        """
        if token_id is not None and (subject or domain or before is not None):
            raise InvalidInput("a token's id goes alone: it names one token")
        if token_id is not None and not tokens.is_token_id(token_id):
            raise InvalidInput(f"not a token's id: {token_id!r:.60}", hint="22 letters and digits")
        if token_id is None and subject is None and domain is None and before is None:
            raise InvalidInput("name what to revoke: a token's id, a subject, a domain or a time")
        name = None if domain is None else self._gate(domain)[0]
        whom = None if subject is None else self.subject_of(subject)
        with self.deciding():
            facts: dict[str, Any] = {"token": token_id} if token_id else {}
            facts |= {"domain": name} if name else {}
            facts |= {"subject": whom} if whom else {}
            facts |= {} if before is None else {"before": finite(before, "before")}
            passed = {} if since is None else self._passed(facts, since)
            facts |= {"passed": passed} if passed else {}
            self.record("gate_revoked", **facts, number=self.number + 1)
        return passed

    # --- queries -----------------------------------------------------------------------------

    def last_number(self) -> int:
        """What was issued so far has no higher number, and what is revoked from now on a higher."""
        self.refresh()
        return self.number

    def was_issued(
        self,
        *,
        token_id: str | None = None,
        subject: str | None = None,
        domain: Domain | None = None,
    ) -> bool:
        """
        Whether such a token is on record, as far as that reaches back.

        Raises:
            InvalidInput: There is no such domain, or no user can be called so.
        """
        asked = {
            "token": token_id,
            "subject": None if subject is None else self.subject_of(subject),
            "domain": None if domain is None else self._gate(domain)[0],
        }
        wanted = {name: value for name, value in asked.items() if value is not None}
        return any(
            all(event[name] == value for name, value in wanted.items())
            for events, _ in self.journal.read(self.journal.begin())
            for event in events
            if event["event_type"] == "gate_token_issued"
        )

    def subject_of(self, user_id: str) -> str:
        """
        The pseudonym of a user.

        Raises:
            InvalidInput: No user can be called so.
        """
        if isinstance(user_id, str) and tokens.is_subject(user_id):
            return self.pseudonym(user_id)
        raise InvalidInput(f"not a name of a user: {user_id!r:.80}", hint=REASONS["wrong_user_id"])

    # --- below the face ----------------------------------------------------------------------

    def _passed(self, whom: dict[str, Any], since: float) -> dict[str, int]:
        """How many requests that token, user or domain was let through with since then."""
        wanted = {name: whom[name] for name in ("domain", "subject") if name in whom}
        family = {whom["token"]} if "token" in whom else None
        passed: Counter[str] = Counter()
        for events, _ in self.journal.read(self.journal.begin()):
            for event in events:
                kind = event["event_type"]
                if family and kind == "gate_token_issued":
                    if not family.isdisjoint(event.get("parents", ())):
                        family.add(event["token"])
                elif kind == "gate_allowed" and event["at"] >= since:
                    theirs = family is None or event["token"] in family
                    if theirs and all(event[name] == value for name, value in wanted.items()):
                        passed[event["domain"]] += 1
        return dict(passed)
