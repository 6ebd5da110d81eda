"""The orchestrator: one cycle from signals to assignments."""

from engines.orchestrator.model import CycleSummary, UsageCycleResult
from engines.orchestrator.orchestrator import DynamicUsageOrchestrator
from engines.personas import PersonaSignal

__all__ = ["CycleSummary", "DynamicUsageOrchestrator", "PersonaSignal", "UsageCycleResult"]
