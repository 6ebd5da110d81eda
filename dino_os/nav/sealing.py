"""
Headers that let somebody in, as they lie in the offline queue: sealed with a key of the vault.

What waits lies in a file for days, and in every copy of it.  So the values of such headers are
encrypted before they come there, and opened by whoever sends them, who needs the vault anyway.
Where the vault cannot be opened they lie there as they are: the request is worth more than that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dino_os.errors import InvalidInput
from dino_os.security_gateway.own_key import OwnKey
from engines.nav_mesh import Outgoing, Receipt, Request

if TYPE_CHECKING:
    from dino_os.security_gateway.gateway import Gateway

_KEY, _PART = "queue/headers", "engine:nav_mesh"
_SEALED = "dino-sealed:"
_opens_something = re.compile(
    r"(?!idempotency-key$).*(auth|cookie|credential|key|passw|secret|session|signature|token)",
    re.IGNORECASE,
).match


class HeaderSeals:
    """
    Seals and opens the headers of requests that wait.

    Args:
        gateway: Whose vault has the key; asked for when it is needed.
    """

    def __init__(self, gateway: Callable[[], Gateway]) -> None:
        self._key = OwnKey(gateway, _KEY, _PART)

    def sealed(self, domain: str, subject: str, request: Request) -> Request:
        """*request* as it may lie in a file, where the vault can be opened."""
        from dino_os.security_gateway.model import VaultLocked  # noqa: PLC0415
        from dino_os.security_gateway.sealing import seal  # noqa: PLC0415

        secret = [name for name in request.headers if _opens_something(name)]
        if not secret:
            return request
        try:
            key = self._key.found_or_made()
        except VaultLocked:
            return request
        headers = dict(request.headers)
        for name in secret:
            form = seal(key, headers[name].encode(), _bound(domain, subject, name))
            headers[name] = f"{_SEALED}{form['nonce']}:{form['sealed']}"
        return replace(request, headers=headers)

    def opened(self, domain: str, subject: str, request: Request) -> Request:
        """
        *request* as it was before it was sealed.

        Raises:
            VaultLocked: The vault cannot be opened now.
            InvalidInput: It was sealed with a key that is gone.
        """
        headers = {
            name: self._open(domain, subject, name, value)
            if value.startswith(_SEALED) and _opens_something(name)
            else value
            for name, value in request.headers.items()
        }
        return replace(request, headers=headers)

    def _open(self, domain: str, subject: str, name: str, value: str) -> str:
        from dino_os.security_gateway.sealing import Unopened, unseal  # noqa: PLC0415

        nonce, _, sealed = value.removeprefix(_SEALED).partition(":")
        form, key = {"nonce": nonce, "sealed": sealed}, self._key.found()
        try:
            return unseal(key or b"", form, _bound(domain, subject, name)).decode()
        except Unopened:
            raise InvalidInput(
                f"its header {name!r} was sealed with a key that is not in the vault any more",
                hint="drop it, and send it anew",
            ) from None


class SealingQueue:
    """An offline queue in which such headers lie sealed."""

    def __init__(self, queue: Outgoing, seals: HeaderSeals) -> None:
        self._queue = queue
        self._seals = seals
        self.must_wait = queue.must_wait

    def put(self, domain: str, subject: str, request: Request, **more: Any) -> Receipt:
        sealed = self._seals.sealed(domain, subject, request)
        return self._queue.put(domain, subject, sealed, **more)


def _bound(domain: str, subject: str, name: str) -> list[str]:
    """What a sealed value is good for, and nothing else."""
    return [domain, subject, name.lower()]
