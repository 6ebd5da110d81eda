"""
Requests to a database: with credentials, and with what an answer means that is not a good one.

Passwords do not cross a network in clear, and stand in no text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from threading import Event
from typing import NoReturn

from engines.replication.address import Address
from engines.replication.coding import encode
from engines.replication.connections import MIB, Answer, Connections, Http, Question
from engines.replication.credentials import Basic, Credentials, Session, Shown
from engines.replication.errors import (
    PeerFault,
    PeerMissing,
    PeerRefused,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)

_JSON = "application/json"
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_REFUSED = frozenset({_UNAUTHORIZED, 403})
_TOO_LARGE = frozenset({413, 414, 431})
# Busy, or broken for the moment; 408 and 425 are said by what stands before a server.
_BUSY = frozenset({408, 425, 429})
_MAY_PASS = _BUSY | {500, 502, 503, 504}
_NO_FAULT = frozenset(range(400, 500)) - _BUSY
_REDIRECTS = range(300, 400)
_LONGEST_WAIT_S = 300.0
_OF_A_REASON = 200
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class Wire:
    """What can be asked of the database at *address*."""

    def __init__(self, address: Address, credentials: Credentials, http: Http) -> None:
        self.address = address
        self._http = http
        self._connections = Connections(address, http)
        self._credentials = credentials
        self._guard = threading.Lock()
        self._shown: Shown | None = None
        self._asked = False
        self._cookie: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        accept: str = _JSON,
        fine: frozenset[int] = frozenset(),
        limit: int | None = None,
    ) -> Answer:
        """
        The peer's answer, if it is a good one or its status is among *fine*.

        Args:
            path: Below the database's; with parameters.
            limit: How many bytes it may have.

        Raises:
            ReplicationError: As `raise_for` says; or nothing came.
        """
        most = limit or self._http.answer_bytes
        answer = self._with_credentials(
            method, path, body, accept, lambda question: self._connections.ask(question, most)
        )
        if not answer.ok and answer.status not in fine:
            self.raise_for(answer, method, path)
        return answer

    def listen(
        self, method: str, path: str, body: bytes | None, silence_s: float, stopped: Event
    ) -> Answer:
        """The answer to a request that waits for news; set *stopped* and `interrupt` to end it."""
        answer = self._with_credentials(
            method,
            path,
            body,
            _JSON,
            lambda question: self._connections.listen(question, silence_s, stopped),
        )
        if not answer.ok:
            self.raise_for(answer, method, path)
        return answer

    def interrupt(self) -> None:
        """Cut off whoever listens."""
        self._connections.interrupt()

    def raise_for(self, answer: Answer, method: str, path: str) -> NoReturn:
        """
        Say what an answer means that is not a good one.

        Raises:
            PeerRefused, PeerMissing, TooLarge, PeerUnreachable, PeerFault: As its status says.
        """
        said = answer.said()
        words = [said[key] for key in ("error", "reason") if isinstance(said.get(key), str)]
        what = self.clean(": ".join(words)) or "no reason given"
        bare = path.partition("?")[0]
        text = f"{self.address}: {method} {bare or '/'} was answered {answer.status} ({what})"
        status = answer.status
        if status in _MAY_PASS:
            later = _seconds(answer.headers.get("retry-after"))
            raise PeerUnreachable(text, retry_after_s=later, status=status)
        if status in _REFUSED:
            raise PeerRefused(text, hint="are the credentials the right ones for this database?")
        if status == _NOT_FOUND:
            raise PeerMissing(text)
        if status in _TOO_LARGE:
            raise TooLarge(text)
        if status in _REDIRECTS:
            raise PeerFault(text, hint="redirects are not followed: give the address they lead to")
        raise PeerFault(text)

    def blame(self, error: ReplicationError, path: str = "", body: bytes = b"") -> None:
        """
        Return where *error* is of what was asked alone: to something else the peer has an answer.

        Args:
            path: Where that is posted *body* to; else it is asked about the database.

        Raises:
            ReplicationError: It is busy, or not there; or it does not let us in at all.
        """
        if isinstance(error, PeerUnreachable):
            wants_rest = error.retry_after_s is not None or error.status in _BUSY
            if wants_rest or error.offline:
                raise error
        if path:
            self.ask("POST", path, body, fine=_NO_FAULT)
        else:
            self.ask("GET", "")

    def clean(self, words: object) -> str:
        """A peer's words: without what it was told in confidence, and fit for a terminal."""
        text = str(words)
        secrets = self._shown.secrets() if self._shown else ()
        for secret in (*secrets, self._cookie):
            text = text.replace(secret, "…") if secret else text
        return "".join(one if one.isprintable() else "�" for one in text[:_OF_A_REASON])

    # --- credentials -------------------------------------------------------------------------

    def _with_credentials(
        self,
        method: str,
        path: str,
        body: bytes | None,
        accept: str,
        send: Callable[[Question], Answer],
    ) -> Answer:
        path = self.address.path + path
        headers = self._headers(accept, body)
        answer = send(Question(method, path, headers, body))
        if answer.status == _UNAUTHORIZED and self._shown is not None:
            # A cookie that has expired, or a key that was changed: once anew.
            self._forget(headers)
            answer = send(Question(method, path, self._headers(accept, body), body))
        return answer

    def _headers(self, accept: str, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "dino"}
        if body is not None:
            headers["Content-Type"] = _JSON
        if self.address.host not in _HERE:  # where packing costs more than sending
            headers["Accept-Encoding"] = "gzip"
        with self._guard:
            if not self._asked:
                self._shown = self._credentials()
                self._refuse_clear()
                self._asked = True
            if isinstance(self._shown, Session):
                self._cookie = self._cookie or self._log_in(self._shown)
                headers["Cookie"] = self._cookie
            elif self._shown is not None:
                headers |= self._shown.headers()
        return headers

    def _forget(self, headers: dict[str, str]) -> None:
        with self._guard:
            if self._cookie in {None, headers.get("Cookie")}:  # else another thread was faster
                self._cookie, self._asked = None, False

    def _refuse_clear(self) -> None:
        if self._shown is not None and not (self.address.private or self._http.clear_passwords):
            raise PeerRefused(
                f"{self.address}: credentials are not sent over http, where anybody can read them",
                hint="use the https address of this peer",
            )

    def _log_in(self, session: Session) -> str:
        body = encode({"name": session.user, "password": session.password})
        headers = {"Accept": _JSON, "Content-Type": _JSON, "User-Agent": "dino"}
        path = f"{self.address.server}/_session"
        answer = self._connections.ask(Question("POST", path, headers, body), MIB)
        if not answer.ok:
            self.raise_for(answer, "POST", "/_session")
        cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        if not cookie.startswith("AuthSession="):
            raise PeerFault(f"{self.address}: the server's _session gave no cookie")
        return cookie


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(max(float(retry_after or ""), 0.0), _LONGEST_WAIT_S)
    except ValueError:
        return None


def credentials_of(given: Credentials | Shown | None, in_url: Basic | None) -> Credentials:
    """What was handed in as the function that gives it; else what stands in the address."""
    if callable(given):
        return given
    return lambda: given or in_url
