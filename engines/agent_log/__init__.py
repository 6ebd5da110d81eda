"""The record of models at work: their runs, what was asked, called, approved and spent."""

from engines.agent_log.engine import AgentLog
from engines.agent_log.errors import BudgetSpent, NoSuchApproval, NoSuchRun, WrongState, amount_text
from engines.agent_log.model import (
    OUTCOMES,
    AgentRun,
    Approval,
    Budget,
    Kind,
    ModelCall,
    Spent,
    State,
    Step,
    ToolCall,
    arguments_sha256,
)

__all__ = [
    "OUTCOMES",
    "AgentLog",
    "AgentRun",
    "Approval",
    "Budget",
    "BudgetSpent",
    "Kind",
    "ModelCall",
    "NoSuchApproval",
    "NoSuchRun",
    "Spent",
    "State",
    "Step",
    "ToolCall",
    "WrongState",
    "amount_text",
    "arguments_sha256",
]
