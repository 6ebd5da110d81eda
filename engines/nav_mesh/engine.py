"""The nav mesh: gates in front of the network, and the routes behind them."""

from __future__ import annotations

from engines.nav_mesh.deciding import Domain
from engines.nav_mesh.model import RouteType
from engines.nav_mesh.sending import Sending


class NavigationMesh(Sending):
    """
    Lets through who has a token that is good, and says which way.

    Takes what `Gates` takes, and `ways`; `NavigationMesh()` is the workspace's own.
    """

    def navigate(
        self,
        domain: Domain,
        token: str | None,
        user_id: str,
        offline_mode: bool = False,  # noqa: FBT001, FBT002  as users call it
        *,
        flow: str = "",
        path: str = "",
        cell: str = "",
    ) -> tuple[bool, str | None, RouteType]:
        """
        Whether *user_id* may pass, why not, and by which route.

        Offline no token is needed: what is let through may only be queued, and is decided again
        before it is sent.

        Args:
            flow: What the request is a step of; `path`: what it asks for.
            cell: The part of the domain whose gate this is.
        """
        decision = self.decide(
            *(domain, token, user_id),
            flow=flow,
            path=path,
            offline=bool(offline_mode),
            cell=cell,
        )
        route = RouteType.OFFLINE if offline_mode else self.route_of(self._gate(domain)[0])
        return decision.allowed, None if decision.allowed else decision.reason, route

    def route_of(self, domain: str) -> RouteType:
        """The route that a request for *domain* would take now."""
        return self.route_taken(domain)
