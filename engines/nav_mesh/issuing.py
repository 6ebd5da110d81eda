"""Tokens are issued and narrowed here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engines.checks import at_least
from engines.errors import DinoError, InvalidInput
from engines.nav_mesh import tokens
from engines.nav_mesh.deciding import Domain, refused
from engines.nav_mesh.decisions import Asked, refusal
from engines.nav_mesh.model import Decision
from engines.nav_mesh.revoking import Revoking
from engines.nav_mesh.scope import check_cell, is_flow, is_prefix, lies_within
from engines.nav_mesh.state import ANY, UNKNOWN
from engines.nav_mesh.tokens import BadToken, Claims

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class GateDenied(DinoError):
    """A gate said no; *rule* is by which rule."""

    exit_code = 3

    def __init__(self, decision: Decision) -> None:
        self.decision, self.rule = decision, decision.rule
        super().__init__(f"the gate refuses: {decision.reason} ({decision.rule})")


class Issuing(Revoking):
    """The part of the gates that makes tokens."""

    def issue_token(
        self,
        domain: Domain,
        user_id: str,
        *,
        flow: str = "",
        path: str = "",
        life_s: float | None = None,
        single_use: bool = False,
        cell: str = "",
    ) -> str:
        """
        A token that lets *user_id* through the gate of *domain*.

        Args:
            flow: Only as a step of that; `path`: only to that and what lies below it.
            life_s: For so many seconds; else for as long as the domain allows.
            single_use: Once.
            cell: For the gate of that part of the domain, and for no other gate.

        Raises:
            InvalidInput: No such domain, no name of a user, or more than the domain allows.
        """
        name, rule = self._gate(domain)
        subject = self.subject_of(user_id)
        if not rule.admits(user_id):
            raise InvalidInput(
                f"{user_id!r} is not admitted to {name!r}",
                hint=f"`nav.domains.{name}.subjects` names who is",
            )
        _check_scope(flow, path, cell)
        life = _seconds(rule.token_s if life_s is None else life_s, rule.token_s)
        self._unlock(name)
        with self.deciding():
            now = math.floor(self.clock())
            key_id, key = self._signer(name)
            claims = Claims(
                *(tokens.new_token_id(), name, user_id, now, now, now + life),
                *(flow, path, bool(single_use)),
                key_id=key_id,
                cell=cell,
                number=self.number + 1,
            )
            return self._issue(claims, subject, key)

    def attenuate(
        self,
        token: str,
        *,
        flow: str = "",
        path: str = "",
        life_s: float | None = None,
        single_use: bool = False,
        cell: str = "",
    ) -> str:
        """
        A token that may less than *token*, and dies with it.

        A domain's token can be narrowed to a cell, whose gate asks for one that names it.

        Raises:
            GateDenied: *token* itself is not good; that is a breach, and recorded.
            InvalidInput: That would be more than *token* may, or *token* is good for one use.
        """
        _check_scope(flow, path, cell)
        self._unlock()
        with self.deciding():
            parent = self._parent(token)
            if isinstance(parent, Claims):
                return self._narrowed(parent, (flow, path, cell), life_s, once=bool(single_use))
        raise GateDenied(parent)

    def claims_of(self, token: str) -> Claims:
        """
        What *token* says, if it bears our signature; it may have expired or been revoked.

        Raises:
            GateDenied: It is not one of ours.
        """
        with self._guard:
            self.refresh()
            try:
                return self._read(token)[0]
            except BadToken as bad:
                raise GateDenied(refused(bad.rule, bad.token_id)) from None

    # --- below the face ----------------------------------------------------------------------

    def _issue(self, claims: Claims, subject: str, key: Ed25519PrivateKey) -> str:
        token = tokens.sign(claims, self.issuer or "", key)
        if len(token) > tokens.LONGEST:
            raise InvalidInput(f"the token would be longer than {tokens.LONGEST:,} characters")
        further = {"flow": claims.flow, "path": claims.path, "once": claims.once}
        further |= {"parents": list(claims.parents), "cell": claims.cell}
        self.record(
            "gate_token_issued",
            domain=claims.domain,
            subject=subject,
            token=claims.token_id,
            key=claims.key_id,
            number=claims.number,
            issued=claims.issued,
            not_before=claims.not_before,
            expires=claims.expires,
            **{name: value for name, value in further.items() if value},
        )
        return token

    def _narrowed(
        self, parent: Claims, scope: tuple[str, str, str], life_s: float | None, *, once: bool
    ) -> str:
        if parent.once:
            raise InvalidInput("a token that is good for one use cannot be narrowed")
        if len(parent.parents) >= tokens.DEEPEST:
            raise InvalidInput(f"a token can be narrowed {tokens.DEEPEST} times, no further")
        # Within the leeway behind its end it is good still, and what comes from it begins before.
        begins = min(max(math.floor(self.clock()), parent.not_before), parent.expires - 1)
        left = parent.expires - begins
        life = left if life_s is None else min(_seconds(life_s, math.inf), left)
        key_id, key = self._signer(parent.domain)
        flow, path, cell = scope
        claims = Claims(
            *(tokens.new_token_id(), parent.domain, parent.subject, parent.issued),
            *(begins, min(begins + life, parent.expires)),
            flow=_narrower("flow", parent.flow, flow),
            path=_narrower_path(parent, path),
            once=once,
            parents=(*parent.parents, parent.token_id),
            key_id=key_id,
            cell=_narrower("cell", parent.cell, cell),
            number=self.number + 1,
        )
        return self._issue(claims, self.pseudonym(parent.subject), key)

    def _parent(self, token: str) -> Claims | Decision:
        """What a token says that is to be narrowed; the refusal where it is not good."""
        now = self.clock()
        try:
            claims, _ = self._read(token)
        except BadToken as bad:
            return self._deny(self._domain_of(token), ANY, bad, now)
        subject = self.pseudonym(claims.subject)
        scope = claims.flow, claims.path, claims.cell
        asked = Asked(claims.domain, claims.subject, subject, *scope)
        if why := refusal(claims, asked, self, self._gate(claims.domain)[1], now):
            return self._deny_read(asked, claims, why, now)
        return claims

    def _domain_of(self, token: object) -> str:
        """The domain whose key a token claims to be signed with."""
        header = token.partition(".")[0] if isinstance(token, str) else ""
        found = self._public_keys().get(header)
        return found.domain if found else UNKNOWN


def _check_scope(flow: str, path: str, cell: str) -> None:
    check_cell(cell)
    if flow and not (isinstance(flow, str) and is_flow(flow)):
        raise InvalidInput(
            f"not a name of a flow: {flow!r:.80}", hint="small letters, digits and . _ : / -"
        )
    if path and not (isinstance(path, str) and is_prefix(path)):
        raise InvalidInput(
            f"no token can be narrowed to the path {path!r:.80}",
            hint="one that begins with /, without .., empty parts, a query or encoded slashes",
        )


def _seconds(life_s: float, most: float) -> int:
    life = math.floor(at_least(life_s, 1, "life_s"))
    if life > most:
        raise InvalidInput(f"the domain allows tokens of {most:g} s, not of {life_s:g}")
    return life


def _narrower(what: str, known: str, asked: str) -> str:
    if known and asked not in {"", known}:
        raise InvalidInput(f"the token is for the {what} {known!r}, not for {asked!r}")
    return asked or known


def _narrower_path(parent: Claims, path: str) -> str:
    if parent.path and path and not lies_within(path, parent.path):
        raise InvalidInput(f"the token is for {parent.path!r}, and {path!r} does not lie below it")
    return path or parent.path
