"""The drill's own sender: takes what is due from the offline queue, and posts it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from itertools import count

from engines.drill.service import ATTEMPT
from engines.latent_cache import OfflineQueue, Queued

_OWNER = "drill"
_LEASE_S = 120.0


class Sending:
    """
    Sends from *queue* to what listens at *port*.

    Args:
        clock: Seconds since the epoch, by the drill's clock.
        settle: Told of each key and attempt that was answered well, once all of it is read.
    """

    def __init__(
        self,
        queue: OfflineQueue,
        port: int,
        clock: Callable[[], float],
        settle: Callable[[str, int], None],
    ) -> None:
        self.queue = queue
        self._port = port
        self._clock = clock
        self._settle = settle
        self._attempts = count(1)

    @property
    def is_empty(self) -> bool:
        return not self.queue.waiting()

    def send(self, patience_s: float) -> tuple[int, int]:
        """
        Send what is due, until there is no more or nobody listens.

        Returns:
            How many were answered, and how many attempts failed.
        """
        sent = failed = 0
        while one := self.queue.claim(self._clock(), owner=_OWNER, lease_s=_LEASE_S):
            try:
                status = self._post(one, patience_s)
            except (OSError, HTTPException) as error:
                heard = not isinstance(error, ConnectionRefusedError)
                self.queue.failed(one.id, _OWNER, type(error).__name__, answered=False)
                failed += 1
                if not heard:  # nobody listens: the others wait as well
                    break
                continue
            if status == HTTPStatus.OK:
                self.queue.done(one.id, _OWNER, status=status)
                sent += 1
            else:
                self.queue.failed(one.id, _OWNER, f"status {status}", answered=True)
                failed += 1
        return sent, failed

    def _post(self, one: Queued, patience_s: float) -> int:
        """The status of the whole answer."""
        request, attempt = one.request, next(self._attempts)
        connection = HTTPConnection("127.0.0.1", self._port, timeout=patience_s)
        try:
            told = {"Idempotency-Key": one.idempotency_key, ATTEMPT: str(attempt)}
            headers = {**request.headers, **told}
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == HTTPStatus.OK:
                self._settle(one.idempotency_key, attempt)
            return answer.status
        finally:
            connection.close()
