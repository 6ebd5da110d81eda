"""What the tests of the gates share: a clock, gates with keys that a test can see, a forger."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engines.nav_mesh import GateRule, MemoryKeys, NavigationMesh, Rules, ThresholdDomain
from engines.nav_mesh.tokens import header_of, private_key

NOON = 1_800_000_000.0  # on a whole minute
WIDE = Rules({domain: GateRule(10**6) for domain in ThresholdDomain})


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


def b64(raw: bytes | str) -> str:
    return urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).rstrip(b"=").decode()


class Site:
    """The gates whose log lies in *folder*; `open` makes them anew, as another process would."""

    def __init__(self, folder: Path, rules: Rules | None = None) -> None:
        self.log = folder / "gate_log.jsonl"
        self.clock, self.keys, self.rules = Clock(), MemoryKeys(), rules
        self.nav = self.open()

    def open(self, rules: Rules | None = None) -> NavigationMesh:
        return NavigationMesh(self.log, keys=self.keys, rules=rules or self.rules, clock=self.clock)

    # --- forging -----------------------------------------------------------------------------

    def key(self, domain: str = "info") -> Ed25519PrivateKey:
        raw = self.keys.load(domain)
        assert raw
        return private_key(raw)

    def key_id(self, domain: str = "info") -> str:
        return next(k.key_id for k in self.nav.keys.values() if k.domain == domain and not k.until)

    def header(self, domain: str = "info") -> str:
        return header_of(self.key_id(domain))

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token for ada says, with *changes*; what is changed to ... is left out."""
        now = int(self.clock())
        good = {
            "iss": self.nav.issuer,
            "sub": "ada",
            "aud": "dino:info",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not ...}

    def signed(
        self,
        payload: dict[str, Any] | bytes | str,
        *,
        header: str | None = None,
        domain: str = "info",
    ) -> str:
        """*payload* as a token with a right signature of that domain's key."""
        if isinstance(payload, dict):
            payload = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        said = f"{self.header(domain) if header is None else header}.{b64(payload)}"
        return f"{said}.{b64(self.key(domain).sign(said.encode()))}"

    def with_header(self, header: dict[str, Any] | str, **claims: Any) -> str:
        """A token with another header, rightly signed."""
        text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
        return self.signed(self.claims(**claims), header=b64(text))
