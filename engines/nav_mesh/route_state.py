"""What the gate log says of routes, and of what was queued behind them: the fold, and no more."""

from __future__ import annotations

from engines.journal import Event
from engines.nav_mesh.breaker import Health
from engines.nav_mesh.gates import Gates
from engines.nav_mesh.model import Grant
from engines.nav_mesh.routes import Route
from engines.nav_mesh.state import ANY

_ANSWERS_TOLD = 100
_REVOCATIONS = 10_000
_ALWAYS = 2.0**53


class RouteState(Gates):
    """Each route's health, the way that each domain's requests took last, and revocations."""

    def reset(self) -> None:
        super().reset()
        self._health: dict[str, Health] = {}
        self._taken: dict[str, str] = {}
        self.path_switches = 0
        self.answered_at = 0.0  # when a route was last found to be well that had not been
        # Of whom, or of which token ("", its id): what was issued before when, revoked when.
        self._revocations: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._forgotten = 0.0  # when the last one of these was made that is no longer known

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

    def apply_gate_revoked(self, event: Event) -> None:
        # The gates forget a revocation when nothing that it meant can be alive; a queue waits on.
        super().apply_gate_revoked(event)
        whom = event.get("domain", ANY), event.get("subject", ANY)
        if token_id := event.get("token"):
            whom = "", token_id
        before, at = event.get("before", _ALWAYS), event["timestamp"]
        known = self._revocations.pop(whom, [])
        self._revocations[whom] = [one for one in known if one[0] > before or one[1] > at]
        self._revocations[whom].append((before, at))
        if len(self._revocations) > _REVOCATIONS:
            oldest = self._revocations.pop(next(iter(self._revocations)))
            self._forgotten = max(self._forgotten, *(made for _, made in oldest))

    def _taken_back(
        self,
        domain: str,
        user_id: str,
        grant: Grant,
        queued_at: float,
        released_at: float | None,
    ) -> bool:
        """
        Whether *grant*, or what was issued to *user_id* then, was revoked.

        A request that somebody released does not heed what was revoked before that.
        """
        if self._forgotten >= (queued_at if released_at is None else released_at):
            return True
        subject = self.pseudonym(user_id)
        every = [(where, whom) for where in (domain, ANY) for whom in (subject, ANY)]
        every += [("", token_id) for token_id in grant.tokens]
        made = (one for whom in every for one in self._revocations.get(whom, ()))
        return any(
            grant.issued < before and (released_at is None or at >= released_at)
            for before, at in made
        )

    # --- below ------------------------------------------------------------------------------

    def _of(self, route: Route) -> Health:
        return self._health.get(route.key) or Health()

    def _at(self, event: Event) -> Health:
        return self._health.setdefault(f"{event['domain']} {event['address']}", Health())

    def _depends(self, event: Event) -> None:
        """Have those that watch what we depend on know of the answers before this event."""
        for _ in range(min(event["answers"], _ANSWERS_TOLD)):
            self.note_dependency(event["address"], ok=True, at=event["at"])
