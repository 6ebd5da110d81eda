"""
One question to a model about one record, and its answer by a schema.

Each record is asked about in a request of its own: what stands in it can reach no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput

from dino_os.personas.model import Rules, Said

if TYPE_CHECKING:
    from dino_os.personas.session import Session

_ABOUT = """\
You help a duty desk that plans who answers which signal. You get one record, as JSON. {rule}
Say only what the record supports; leave a field empty rather than guess. Your answer is checked,
and only these fields have an effect:
"""
_PARTS: Mapping[str, str] = {
    "research": "summary: what whoever goes there should know and the signal's summary does not "
    "say, in at most 20 words.",
    "execution": "skills: what the task needs, of these only: {skills}. Only where the signal "
    "names no required_skills.",
    "risk": "argument: why it is as severe as it is, or more, in at most 30 words. "
    "severity: 0 to 1, where the record shows that it is more severe than the signal says.",
}
_EVIDENCE = "evidence: the words of the record that skills and severity rest on, copied verbatim."
_FORM = "Answer with one JSON object of this schema and nothing else:\n{schema}"
_MOST_TEXT, _MOST_OF_ALL = 1_000, 4_000  # characters of a value, and of a record
_OUTPUT_TOKENS = 400


class _Remarks(BaseModel):
    """What the record adds to the signal."""

    summary: str = Field(default="", max_length=2_000)
    skills: list[str] = Field(default_factory=list, max_length=20)
    severity: float | None = Field(default=None, ge=0, le=1)
    argument: str = Field(default="", max_length=2_000)
    evidence: str = Field(default="", max_length=2_000)


def ask(session: Session, record: Mapping[str, Any], rules: Rules, *, timeout_s: float) -> Said:
    """
    What the model of *session* says of *record*.

    Raises:
        Exception: Whatever the model or its library raises; RunTimedOut past *timeout_s*.
    """
    about = _instructions(rules, session.marking.rule)
    # Servers of local models hold an answer to a schema better than a call of a tool.
    answer = NativeOutput(_Remarks, template=_FORM)
    agent = Agent(session.model, output_type=answer, instructions=about, retries=1)
    done = agent.run_sync(
        session.marking.marked(_bounded(record), "record"),
        timeout=timeout_s,
        model_settings={"temperature": 0.0, "max_tokens": _OUTPUT_TOKENS},
        infer_name=False,
    )
    remarks, response = done.output, done.response
    # A chain of providers knows which of them it was.
    by = getattr(session.model, "answered_by", None)
    return Said(
        summary=remarks.summary,
        skills=tuple(remarks.skills),
        severity=remarks.severity,
        argument=remarks.argument,
        evidence=remarks.evidence,
        provider=by.name if by else response.provider_name or "",
        model=response.model_name or "",
    )


def _instructions(rules: Rules, rule: str) -> str:
    skills = ", ".join(rules.skills) or "none"
    parts = [text for persona, text in _PARTS.items() if persona in rules.personas]
    told = "\n".join([*parts, _EVIDENCE]).replace("{skills}", skills)
    return _ABOUT.format(rule=rule) + told


def _bounded(record: Mapping[str, Any]) -> dict[str, Any]:
    """As much of *record* as a small model reads, from its beginning."""
    left, told = _MOST_OF_ALL, {}
    for name, value in record.items():
        short = value[:_MOST_TEXT] if isinstance(value, str) else value
        left -= len(name) + len(str(short))
        if left < 0:
            break
        told[name] = short
    return told
