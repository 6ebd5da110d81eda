"""Gates in front of the network, and the routes behind them."""

from engines.nav_mesh.model import (
    Decision,
    GateResult,
    Outgoing,
    Receipt,
    Request,
    Response,
    RouteType,
    ThresholdDomain,
    Transport,
    Unreached,
)

__all__ = [
    "Decision",
    "GateResult",
    "Outgoing",
    "Receipt",
    "Request",
    "Response",
    "RouteType",
    "ThresholdDomain",
    "Transport",
    "Unreached",
]
