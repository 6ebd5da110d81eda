"""The drill's own sender: takes what is due from the offline queue, and posts it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from engines.latent_cache import OfflineQueue, Queued

_OWNER = "drill"
_LEASE_S = 120.0


class Sending:
    """
    Sends from *queue* to what listens at *port*.

    Args:
        clock: Seconds since the epoch, by the drill's clock.
    """

    def __init__(self, queue: OfflineQueue, port: int, clock: Callable[[], float]) -> None:
        self.queue = queue
        self._port = port
        self._clock = clock

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
        request = one.request
        connection = HTTPConnection("127.0.0.1", self._port, timeout=patience_s)
        try:
            headers = {**request.headers, "Idempotency-Key": one.idempotency_key}
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()
