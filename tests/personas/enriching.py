"""Models that say what a test tells them, and the personas that ask them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile

from dino_os.agent.posture import Marking
from dino_os.personas.enrichment import Enrichment
from dino_os.personas.model import Rules
from dino_os.personas.session import Session
from engines.personas import PersonaSignal

SKILLS = ("pump", "check", "ladder")
ALL = frozenset({"research", "execution", "risk"})
SIGNAL = PersonaSignal(
    persona="execution",
    summary="fire at Mole",
    zone="Mole",
    sector="North",
    severity=0.6,
    task_identifier="C-1",
    metadata={"line": 2},
)
Answer = Callable[[str], Mapping[str, Any]]
"""What the model says to a prompt."""


class Desk:
    """Enrichment whose model says what *answer* says, or raises it; asked is what it was asked."""

    def __init__(self, answer: Mapping[str, Any] | Answer | Exception, **rules: Any) -> None:
        self.asked: list[str] = []
        self.instructions = ""
        self.ended: list[tuple[Any, ...]] = []
        self.now = 0.0
        self._answer = answer
        wanted = {"personas": ALL, "skills": SKILLS, "severity_band": 0.1, **rules}
        self.enrichment = Enrichment(Rules(**wanted), self._open, clock=lambda: self.now)

    def apply(self, *signals: PersonaSignal, row: Mapping[str, str] | None = None) -> Any:
        """The signals afterwards, and the escalations."""
        from engines.personas import Observation

        seen = [
            Observation((s.metadata or {})["line"], s.zone, s.sector, s.summary, row or {})
            for s in signals
        ]
        self.enrichment.see(signals, seen)
        with self.enrichment:
            return self.enrichment.apply(signals, [], 0.85)

    def _open(self, goal: str) -> Session:
        assert goal.startswith("enrich signals: ")
        can = ModelProfile(supports_json_schema_output=True)
        model = FunctionModel(self._say, model_name="tiny", profile=can)
        return Session("run-1", model, Marking(b"k" * 32, "run-1"), self._finish)

    def _finish(self, *ended: Any) -> None:
        self.ended.append(ended)

    def _say(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        prompt = str(messages[0].parts[-1].content)  # type: ignore[union-attr]
        self.asked.append(prompt)
        self.instructions = info.instructions or ""
        if isinstance(self._answer, Exception):
            raise self._answer
        said = self._answer(prompt) if callable(self._answer) else self._answer
        return ModelResponse([TextPart(json.dumps(said))])
