"""The section `agent`: what models may do with skills."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from dino_os.config.bounds import Positive


class Agent(Struct, forbid_unknown_fields=True, frozen=True):
    """How far a run of a model goes, and what becomes of its calls of certain skills."""

    max_steps: Positive = 20
    skills: dict[str, Literal["allow", "ask", "deny"]] = {}
