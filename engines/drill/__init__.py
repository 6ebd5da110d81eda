"""Drills: work through hours without a network, and the proof that nothing was lost or doubled."""

from engines.drill.drill import HOUR_S, Drill, Exchanged, Far, survives
from engines.drill.proxy import KINDS, Fault, FaultProxy
from engines.drill.result import Hour, Result
from engines.drill.service import CountingService

__all__ = [
    "HOUR_S",
    "KINDS",
    "CountingService",
    "Drill",
    "Exchanged",
    "Far",
    "Fault",
    "FaultProxy",
    "Hour",
    "Result",
    "survives",
]
