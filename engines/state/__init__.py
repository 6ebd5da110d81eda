"""States: the posture that noisy signals add up to."""

from engines.state.engine import DynamicStateEngine
from engines.state.model import StateDefinition, StateNotFoundError, StateSignal, StateSnapshot

__all__ = [
    "DynamicStateEngine",
    "StateDefinition",
    "StateNotFoundError",
    "StateSignal",
    "StateSnapshot",
]
