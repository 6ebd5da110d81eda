"""What the gate log says of routes, and of what was queued behind them: the fold, and no more."""

from __future__ import annotations

from engines.journal import Event
from engines.nav_mesh.breaker import Health
from engines.nav_mesh.gates import Gates
from engines.nav_mesh.model import Grant
from engines.nav_mesh.routes import Route

_ANSWERS_TOLD = 100


class RouteState(Gates):
    """Each route's health, the way that each domain's requests took last."""

    def reset(self) -> None:
        super().reset()
        self._health: dict[str, Health] = {}
        self._taken: dict[str, str] = {}
        self.path_switches = 0
        self.answered_at = 0.0  # when a route was last found to be well that had not been

    def apply_route_failed(self, event: Event) -> None:
        self._at(event).failed(event["status"])
        self._depends(event)
        self.note_dependency(event["address"], ok=False, at=event["at"])

    def apply_route_answered(self, event: Event) -> None:
        self._at(event).answered()
        self.answered_at = event["at"]
        self._depends(event)

    def apply_route_counted(self, event: Event) -> None:
        self._at(event).counted(event["window"], event["counts"])

    def apply_route_ejected(self, event: Event) -> None:
        self._at(event).ejected(event["at"], event["until"], event["times"], event["cause"])

    def apply_route_on_trial(self, event: Event) -> None:
        at, next_at = event["at"], event.get("next_at", 0.0)
        self._at(event).on_trial(at, next_at, event["times"], event["cause"])

    def apply_route_kept(self, event: Event) -> None:
        self._at(event).answered()  # it is counted anew

    def apply_route_probed(self, event: Event) -> None:
        self._at(event).probed(event["at"], event["until"])

    def apply_route_returned(self, event: Event) -> None:
        self._at(event).returned(event["at"])
        self.answered_at = event["at"]
        self._depends(event)

    def apply_route_switched(self, event: Event) -> None:
        self._taken[event["domain"]] = event["to"]
        self.path_switches += 1

    def _taken_back(
        self,
        domain: str,
        user_id: str,
        grant: Grant | None,
        queued_at: float,
        released: int | None,
    ) -> bool:
        """
        Whether *grant*, or where there is none what *user_id* had then, was revoked.

        A request that somebody *released* does not heed what was revoked before that.
        """
        subject, revoked = self.pseudonym(user_id), self.revoked
        if grant is None and released is None:
            return revoked.since(domain, subject, queued_at)
        known = grant or Grant(queued_at, ())
        number = known.number if released is None else released
        if number > self.number:  # the record has lost it, and what was revoked since then with it
            return True
        return revoked.mean(domain, subject, known.tokens, issued=known.issued, number=number)

    # --- below ------------------------------------------------------------------------------

    def _of(self, route: Route) -> Health:
        return self._health.get(route.key) or Health()

    def _at(self, event: Event) -> Health:
        return self._health.setdefault(f"{event['domain']} {event['address']}", Health())

    def _depends(self, event: Event) -> None:
        """Have those that watch what we depend on know of the answers before this event."""
        for _ in range(min(event["answers"], _ANSWERS_TOLD)):
            self.note_dependency(event["address"], ok=True, at=event["at"])
