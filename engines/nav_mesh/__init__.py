"""Gates in front of the network, and the routes behind them."""

from engines.nav_mesh.engine import NavigationMesh
from engines.nav_mesh.gates import Gates
from engines.nav_mesh.issuing import GateDenied
from engines.nav_mesh.keys import FileKeys, Keys, KeysBroken, MemoryKeys
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
from engines.nav_mesh.rules import AnomalyRule, GateRule, Rules

__all__ = [
    "AnomalyRule",
    "Decision",
    "FileKeys",
    "GateDenied",
    "GateResult",
    "GateRule",
    "Gates",
    "Keys",
    "KeysBroken",
    "MemoryKeys",
    "NavigationMesh",
    "Outgoing",
    "Receipt",
    "Request",
    "Response",
    "RouteType",
    "Rules",
    "ThresholdDomain",
    "Transport",
    "Unreached",
]
