"""
Language models: those near by first, then others, by the same rules for whoever asks.

`AgentCore` is for programs and skills; `open_chain` is a model of pydantic-ai for what is built
upon one.  Importing this imports neither pydantic-ai nor a network stack.
"""

from dino_os.agent_core.face import AgentCore
from dino_os.agent_core.opening import open_chain
from dino_os.errors import ModelError, ModelTimedOut, ModelUnavailable

__all__ = ["AgentCore", "ModelError", "ModelTimedOut", "ModelUnavailable", "open_chain"]
