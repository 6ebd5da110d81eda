"""
Every request at a gate is decided here, and recorded.

What a token's text says is verified once per process and remembered; whether it is still good is
asked of the state each time, under the journal's lock and caught up with all other processes.  So
nothing that is remembered outlives a revocation, a rotation or a block, whoever made it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

from engines.journal import Event
from engines.nav_mesh import tokens
from engines.nav_mesh.decisions import REASONS, Asked, refusal, result_of
from engines.nav_mesh.flood import Flood, Kind
from engines.nav_mesh.keys import Keys
from engines.nav_mesh.model import Decision, GateResult, ThresholdDomain
from engines.nav_mesh.refusing import Refusing
from engines.nav_mesh.rules import LEEWAY_S, GateRule, domain_name
from engines.nav_mesh.tokens import BadToken, Claims, PublicKey

Domain = ThresholdDomain | str

_REMEMBERED = 10_000
_PSEUDONYM = 16  # hex digits
_LONGEST_NAME = 256

_Gate = tuple[str, GateRule]
_Scope = tuple[str, str, str]  # flow, path, cell


class Deciding(Refusing):
    """The part of the gates that decides."""

    def _prepare(self, keys: Keys) -> None:
        """What is remembered besides the state; it is set before anything is folded."""
        self._keys = keys
        self._gates: dict[Domain, _Gate] = {}
        for name, rule in self.rules.by_name().items():
            self._gates[name] = self._gates[ThresholdDomain(name)] = name, rule
        self._headers: dict[str, PublicKey] | None = None
        self._verified: dict[str, tuple[Claims, Decision]] = {}
        self._subjects: dict[str, str] = {}
        self._flood = Flood()

    # --- commands ----------------------------------------------------------------------------

    def decide(
        self,
        domain: Domain,
        token: str | None,
        user_id: str,
        *,
        flow: str = "",
        path: str = "",
        offline: bool = False,
        cell: str = "",
    ) -> Decision:
        """
        Whether *user_id* may pass, by *token*; recorded, within an outer `deciding()` with others.

        Args:
            flow: What the request is a step of; `path`: what it asks for, with its query.
            offline: It is only to be queued, which needs no token; it is decided again, with one,
                before it is sent.
            cell: The part of the domain whose gate this is: only tokens for that cell open it, and
                they open no other.

        Raises:
            InvalidInput: There is no such domain.
        """
        with self._guard:
            if self._depth:
                return self._decided(domain, token, user_id, (flow, path, cell), offline=offline)
            self._known_pseudonyms()  # what may take a while holds no lock
            with self.deciding():
                return self._decided(domain, token, user_id, (flow, path, cell), offline=offline)

    def check(
        self,
        domain: Domain,
        token: str | None,
        user_id: str,
        *,
        flow: str = "",
        path: str = "",
        cell: str = "",
    ) -> Decision:
        """What would be decided now; nothing is recorded or used up."""
        gate = self._gate(domain)
        with self._guard:
            self.refresh()
            return self._checked(gate, token, user_id, (flow, path, cell))

    # --- queries -----------------------------------------------------------------------------

    def pseudonym(self, user_id: str) -> str:
        """What stands for *user_id* in the record."""
        known = self._subjects.get(user_id)
        if known is None:
            if len(self._subjects) >= _REMEMBERED:
                self._subjects.clear()
            key = self._known_pseudonyms()
            digest = hmac.digest(key, user_id.encode("utf-8", "replace"), "sha256")
            known = self._subjects[user_id] = digest.hex()[:_PSEUDONYM]
        return known

    # --- one decision ------------------------------------------------------------------------

    def _decided(
        self, domain: Domain, token: object, user_id: str, scope: _Scope, *, offline: bool
    ) -> Decision:
        name, rule = self._gate(domain)
        now = self.clock()
        self._tell_in_time(now)
        try:
            asked = self._asked(name, user_id, scope)
            if offline:
                return self._queued(asked, rule, now)
            claims, allowed = self._read(token)
        except BadToken as bad:
            return self._deny(name, self._name_of(user_id), bad, now)
        why = refusal(claims, asked, self, rule, now)
        if why:
            return self._deny_read(asked, claims, why, now)
        subject = asked.subject
        wait = self.passing.wait_s(name, subject, rule.rate_per_minute, now)
        if wait:
            return self._limit(asked, claims.token_id, wait, now)
        further: dict[str, Any] = {}
        if claims.once:
            further["once"] = claims.expires + LEEWAY_S
        self.record(
            "gate_allowed", domain=name, subject=subject, token=claims.token_id, at=now, **further
        )
        if self.alarms:
            self.raise_alarms(now)
        return allowed

    def _checked(self, gate: _Gate, token: object, user_id: str, scope: _Scope) -> Decision:
        domain, rule = gate
        now = self.clock()
        try:
            asked = self._asked(domain, user_id, scope)
            claims, _ = self._read(token)
        except BadToken as bad:
            return refused(bad.rule, bad.token_id)
        why = refusal(claims, asked, self, rule, now)
        if why:
            return refused(why, claims.token_id)
        wait = self.passing.wait_s(domain, asked.subject, rule.rate_per_minute, now)
        return _limited(claims.token_id, wait) if wait else _allowed(claims.token_id)

    def _queued(self, asked: Asked, rule: GateRule, now: float) -> Decision:
        if not rule.admits(asked.user_id):
            raise BadToken("not_admitted")
        wait = self.queueing.wait_s(asked.domain, asked.subject, rule.rate_per_minute, now)
        if wait:
            return self._limit(asked, None, wait, now)
        self.record("gate_queued", domain=asked.domain, subject=asked.subject, at=now)
        if self.alarms:
            self.raise_alarms(now)
        return Decision(GateResult.ALLOWED, "queued", REASONS["queued"])

    def _limit(self, asked: Asked, token_id: str | None, wait: float, now: float) -> Decision:
        kind = Kind(asked.domain, asked.subject, "rate_limited", token_id is not None)
        self._note(kind, now, token_id)
        return _limited(token_id, wait)

    def _deny(self, domain: str, subject: str, bad: BadToken, now: float) -> Decision:
        self._note(Kind(domain, subject, bad.rule, bad.authentic), now, bad.token_id)
        return refused(bad.rule, bad.token_id)

    def _deny_read(self, asked: Asked, claims: Claims, rule: str, now: float) -> Decision:
        """Refuse a token that we signed; it proves nothing of whom else it is shown for."""
        theirs = claims.subject == asked.user_id
        found = BadToken(rule, token_id=claims.token_id, authentic=theirs)
        return self._deny(asked.domain, asked.subject, found, now)

    # --- what is asked, and by which token ---------------------------------------------------

    def _gate(self, domain: Domain) -> _Gate:
        try:
            return self._gates[domain]
        except (KeyError, TypeError):
            return self._gates[domain_name(domain)]

    def _asked(self, domain: str, user_id: str, scope: _Scope) -> Asked:
        subject = self._subjects.get(user_id) if type(user_id) is str else None
        if subject is None:
            if type(user_id) is not str or not tokens.is_subject(user_id):
                raise BadToken("wrong_user_id")
            subject = self.pseudonym(user_id)
        flow, path, cell = scope
        if type(flow) is not str or type(path) is not str or type(cell) is not str:
            raise BadToken("wrong_scope")
        return Asked(domain, user_id, subject, flow, path, cell)

    def _name_of(self, user_id: object) -> str:
        """The pseudonym of one whose name may be none."""
        return self.pseudonym(str(user_id)[:_LONGEST_NAME])

    def _read(self, token: object) -> tuple[Claims, Decision]:
        """What *token* says, and the answer to it where nothing speaks against it."""
        if not isinstance(token, str):
            raise BadToken("not_text")
        known = self._verified.get(token)
        if known is None:
            claims = tokens.read(token, self._public_keys(), self.issuer)
            if len(self._verified) >= _REMEMBERED:
                del self._verified[next(iter(self._verified))]
            known = claims, _allowed(claims.token_id)
            self._verified[token] = known
        return known

    def _public_keys(self) -> dict[str, PublicKey]:
        if self._headers is None:
            made = (
                tokens.public_key(key.key_id, key.domain, bytes.fromhex(key.public))
                for key in self.keys.values()
            )
            self._headers = {key.header: key for key in made}
        return self._headers

    def _known_pseudonyms(self) -> bytes:
        key: bytes | None = vars(self).get("_pseudonym_key")
        if key is None:
            key = self._pseudonym_key = sha256(b"dino-gate\n" + self._keys.pseudonyms()).digest()
        return key

    # --- the fold ----------------------------------------------------------------------------

    def reset(self) -> None:
        super().reset()
        self._headers = None
        self._verified.clear()

    def restored(self) -> None:
        super().restored()
        self._headers = None

    def apply_gate_key_added(self, event: Event) -> None:
        super().apply_gate_key_added(event)
        self._headers = None
        self._verified.clear()


def _allowed(token_id: str) -> Decision:
    return Decision(GateResult.ALLOWED, "ok", "", token_id)


def _limited(token_id: str | None, wait: float) -> Decision:
    text = f"{REASONS['rate_limited']}; again in {wait:.1f} s"
    return Decision(GateResult.RATE_LIMITED, "rate_limited", text, token_id, wait)


def refused(rule: str, token_id: str | None = None) -> Decision:
    return Decision(result_of(rule), rule, REASONS[rule], token_id)
