"""Personas: research, execution and risk, who turn raw records into signals."""

from engines.personas.cast import (
    configure_dynamic_start_agents,
    get_dynamic_start_agents,
    prime_dynamic_start_agents,
    reset_dynamic_start_agents,
)
from engines.personas.chain import ExecutionPersona, ResearchPersona, RiskPersona
from engines.personas.model import (
    AgentResult,
    Escalation,
    Observation,
    Persona,
    PersonaSignal,
    RejectedRow,
    ResearchResult,
    Row,
    SignalResult,
)
from engines.personas.signal_map import FieldRule, PositionRule, SignalMap, TimeRule, template_parts

__all__ = [
    "AgentResult",
    "Escalation",
    "ExecutionPersona",
    "FieldRule",
    "Observation",
    "Persona",
    "PersonaSignal",
    "PositionRule",
    "RejectedRow",
    "ResearchPersona",
    "ResearchResult",
    "RiskPersona",
    "Row",
    "SignalMap",
    "SignalResult",
    "TimeRule",
    "configure_dynamic_start_agents",
    "get_dynamic_start_agents",
    "prime_dynamic_start_agents",
    "reset_dynamic_start_agents",
    "template_parts",
]
