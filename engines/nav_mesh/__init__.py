"""Gates in front of the network, and the routes behind them."""

from engines.nav_mesh.engine import NavigationMesh
from engines.nav_mesh.explain import Explanation
from engines.nav_mesh.gates import Gates
from engines.nav_mesh.issuing import GateDenied
from engines.nav_mesh.keys import FileKeys, Keys, KeysBroken, MemoryKeys
from engines.nav_mesh.model import (
    Decision,
    GateResult,
    Grant,
    Outgoing,
    Receipt,
    Request,
    Response,
    RouteType,
    ThresholdDomain,
    Transport,
    Unreached,
)
from engines.nav_mesh.requests import (
    AnswerTooLarge,
    Doubtful,
    GateBusy,
    NoRoute,
    check_request,
    named_key,
)
from engines.nav_mesh.routes import DomainRoutes, Route, RouteRules, Ways, in_order
from engines.nav_mesh.routing import Outcome
from engines.nav_mesh.rules import AnomalyRule, GateRule, Rules

__all__ = [
    "AnomalyRule",
    "AnswerTooLarge",
    "Decision",
    "DomainRoutes",
    "Doubtful",
    "Explanation",
    "FileKeys",
    "GateBusy",
    "GateDenied",
    "GateResult",
    "GateRule",
    "Gates",
    "Grant",
    "Keys",
    "KeysBroken",
    "MemoryKeys",
    "NavigationMesh",
    "NoRoute",
    "Outcome",
    "Outgoing",
    "Receipt",
    "Request",
    "Response",
    "Route",
    "RouteRules",
    "RouteType",
    "Rules",
    "ThresholdDomain",
    "Transport",
    "Unreached",
    "Ways",
    "check_request",
    "in_order",
    "named_key",
]
