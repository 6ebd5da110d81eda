"""
The offline queue's other end: what was queued is sent, each request by whoever claimed it.

What may be sent is decided anew when its turn comes: by the gate, with a token of one use that its
subject is given by the same rules as any.  Who is blocked, or no longer admitted, has it held until
somebody releases it; what came without a token is held as well.  Wealth comes out of the queue only
where somebody released it by hand.

Between sending and the note that it arrived this process may die: the claim then runs out, and the
same request is sent again under the same key.  What must not be repeated is held as soon as it may
have arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from dino_os.errors import DinoError, InvalidInput
from dino_os.web_calls import Answer
from engines.nav_mesh import (
    GateBusy,
    GateDenied,
    Grant,
    NavigationMesh,
    NoRoute,
    Request,
    Response,
    Unreached,
)

_LONGEST_WAIT_S = 86400.0
_MOST_PUT_BACK = 20
_MAYBE = "it may have arrived, and must not arrive twice"
_SPARE_S = 30.0  # of a claim, beyond the time that sending may take
_TRY_AGAIN = frozenset({408, 409, 421, 423, 425, 429})
_ELSEWHERE, _REFUSED, _SERVER_FAULT = 300, 400, 500


class Queued(Protocol):
    """What is claimed from the queue."""

    @property
    def id(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def request(self) -> Request: ...
    @property
    def queued_at(self) -> float: ...
    @property
    def authorised(self) -> bool: ...
    @property
    def released_at(self) -> float | None: ...
    @property
    def released_number(self) -> int | None: ...
    @property
    def grant(self) -> Grant | None: ...
    @property
    def repeatable(self) -> bool: ...


class Queue(Protocol):
    """What of the offline queue a replayer uses; see `engines.latent_cache.OfflineQueue`."""

    def claim(self, now: float, *, owner: str, lease_s: float) -> Queued | None: ...
    def done(self, id_: str, owner: str, *, status: int) -> object: ...
    def failed(
        self, id_: str, owner: str, reason: str, *, answered: bool, after_s: float | None
    ) -> object: ...
    def hold(self, id_: str, reason: str, *, owner: str, arrived: bool = False) -> bool: ...
    def give_up(self, id_: str, reason: str, *, owner: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What a pass came to.

    Attributes:
        later: Tried, and to be tried again.
        held: Somebody has to look at them.
        dead: Refused for good.
    """

    delivered: int = 0
    later: int = 0
    held: int = 0
    dead: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Replayer:
    """
    Sends what *queue* has due, as far as the routes of *mesh* are open.

    Args:
        owner: Names this process in its claims.
        opened: (domain, subject, request) → the request as it was before it was sealed.
    """

    def __init__(
        self,
        mesh: NavigationMesh,
        queue: Queue,
        *,
        owner: str,
        opened: Callable[[str, str, Request], Request] = lambda *given: given[-1],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mesh = mesh
        self._queue = queue
        self._owner = owner
        self._opened = opened
        self._clock = clock

    def run(self, *, most: int | None = None) -> Replayed:
        """
        Try each request that is due, at most so many.

        Where a domain's routes are down, its other requests are put back untried, up to a number
        that lets those of other domains come to their turn, pass by pass.
        """
        counts: dict[str, int] = {}
        down: set[str] = set()
        put_back = 0
        longest = max((ways.timeout_s for ways in self._mesh.ways.domains.values()), default=0.0)
        while most is None or sum(counts.values()) < most:
            queued = self._queue.claim(self._clock(), owner=self._owner, lease_s=longest + _SPARE_S)
            if queued is None:
                break
            if queued.domain in down:
                word = self._later(queued, "its routes are down")
                put_back += 1
            else:
                word = self._deliver(queued, down)
            counts[word] = counts.get(word, 0) + 1
            if down and (put_back >= _MOST_PUT_BACK or down >= self._mesh.ways.domains.keys()):
                break
        return Replayed(**counts)

    def _deliver(self, queued: Queued, down: set[str]) -> str:
        if why := self._needs_somebody(queued):
            return self._hold(queued, why)
        try:
            response = self._resend(queued)
        except GateBusy as error:
            return self._later(queued, error.message, after_s=error.decision.retry_after_s)
        except (GateDenied, InvalidInput) as error:
            return self._hold(queued, str(error))
        except Unreached as error:
            down.add(queued.domain)
            return self._unreached(queued, error)
        except DinoError as error:  # a vault that is locked, an address that may not be dialled
            return self._later(queued, str(error))
        return self._answered(queued, response)

    def _needs_somebody(self, queued: Queued) -> str | None:
        """Why it is not sent before somebody released it."""
        if queued.released_at is not None:
            return None
        if not queued.authorised:
            return "it came without a token"
        held = queued.domain in self._mesh.ways.held
        return f"{queued.domain} is sent when somebody releases it" if held else None

    def _resend(self, queued: Queued) -> Response:
        request = self._opened(queued.domain, queued.subject, queued.request)
        return self._mesh.resend(
            queued.domain,
            queued.subject,
            # In the domain's own time, which is what the claim is good for.
            replace(request, timeout_s=None),
            queued_at=queued.queued_at,
            released=queued.released_number,
            grant=queued.grant,
            repeatable=queued.repeatable,
        )

    def _unreached(self, queued: Queued, error: Unreached) -> str:
        if error.heard and not queued.repeatable:
            return self._hold(queued, f"{_MAYBE}: {error.message}", arrived=True)
        answer = error.answer if isinstance(error, NoRoute) else None
        after_s = retry_after_s(answer) if answer else None
        return self._later(queued, error.message, after_s=after_s)

    def _answered(self, queued: Queued, response: Response) -> str:
        status = response.status
        if status < _ELSEWHERE:
            self._queue.done(queued.id, self._owner, status=status)
            return "delivered"
        why = f"answered with {status}"
        if status >= _SERVER_FAULT and not queued.repeatable:
            return self._hold(queued, f"{_MAYBE}: {why}", arrived=True)
        # Whoever says 3xx has not taken it, and may be a portal that stands before every service.
        if status < _REFUSED or status in _TRY_AGAIN or status >= _SERVER_FAULT:
            answered, after_s = status >= _REFUSED, retry_after_s(response)
            return self._later(queued, why, answered=answered, after_s=after_s)
        return "dead" if self._queue.give_up(queued.id, why, owner=self._owner) else "later"

    def _hold(self, queued: Queued, why: str, *, arrived: bool = False) -> str:
        """Have somebody look at it; not what somebody else has by now."""
        held = self._queue.hold(queued.id, why, owner=self._owner, arrived=arrived)
        return "held" if held else "later"

    def _later(
        self, queued: Queued, why: str, *, answered: bool = False, after_s: float | None = None
    ) -> str:
        self._queue.failed(queued.id, self._owner, why, answered=answered, after_s=after_s)
        return "later"


def retry_after_s(response: Response) -> float | None:
    """How long the service asks us to wait."""
    asked = Answer(response.status, response.headers, b"").retry_after_s
    return None if asked is None else min(asked, _LONGEST_WAIT_S)
