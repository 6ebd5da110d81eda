"""
What of a model's words reaches a signal.

Whatever it says, and whatever a record talked it into: the summary begins as it was, severity is
never lower and at most the band higher, skills are known ones for a task that names none, and where
a task is, who it is and how long it takes cannot be said at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dino_os.personas.model import Change, Rules, Said
from engines.personas import PersonaSignal

_LONGEST = 300  # characters of a text
_MOST_SKILLS = 3
_LEAST_EVIDENCE = 3  # characters
_word = re.compile(r"\w+")
# A record speaks of the world.  One that speaks to its reader is believed in nothing but words.
_addressed = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|above|prior|instruction|rule|all)"
    r"|\binstructions?\b|\bprompt\b|\b(system|assistant|developer|user)\s*[:>\]]"
    r"|\byou (are|must|should|shall|will|have to)\b|\bas an? (ai|language model|assistant)\b"
    r"|\b(severity|required_skills?|skills?|priority)\b\s*(to|=|:|is|must|should)"
    r"|<\W*(system|record|data|user|assistant)|```|\bjson\b|\b(language model|llm|gpt)\b",
    re.IGNORECASE | re.DOTALL,
)


def changed(
    signal: PersonaSignal, said: Said, rules: Rules, *, record: Mapping[str, Any], run: str
) -> tuple[PersonaSignal, list[Change], list[str]]:
    """
    *signal* with what of *said* may be, the changes that are, and why others are not.

    Args:
        record: What the model was shown.
        run: The model's run in the agent log.
    """
    changes: list[Change] = []
    refused: list[str] = []

    def change(persona: str, field: str, before: Any, after: Any) -> None:
        changes.append(Change(persona, field, before, after, said.provider, said.model, run))

    doubt = _doubt(said, record)
    summary, skills, severity = signal.summary, signal.required_skills, signal.severity
    remark, argument = one_line(said.summary), one_line(said.argument)
    if "research" in rules.personas and remark and _plain(remark) not in _plain(summary):
        summary = f"{signal.summary} – {remark}"
        change("research", "summary", signal.summary, summary)
    if "execution" in rules.personas and said.skills and not signal.required_skills:
        skills = tuple(_known(said.skills, rules.skills))[:_MOST_SKILLS]
        if unknown := len({*said.skills}) - len(skills):
            refused.append(f"skills: {unknown} of no agent")
        if skills and doubt:
            refused.append(f"skills: {doubt}")
            skills = signal.required_skills
        if skills:
            change("execution", "required_skills", [], [*skills])
    if "risk" in rules.personas:
        severity, why_not = _severity(signal.severity, said.severity, rules.severity_band, doubt)
        refused += why_not
        if severity != signal.severity:
            change("risk", "severity", signal.severity, severity)
        if argument:
            change("risk", "argument", None, argument)
    if not changes:
        return signal, changes, refused
    metadata = {**(signal.metadata or {}), "enriched": [one.as_dict() for one in changes]}
    if "risk" in rules.personas and argument:
        metadata["argument"] = argument
    enriched = replace(
        signal, summary=summary, required_skills=skills, severity=severity, metadata=metadata
    )
    return enriched, changes, refused


def one_line(text: str) -> str:
    """*text* on one line of bounded length, without what is not to be seen."""
    seen = "".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST])
    return " ".join(seen.split())[:_LONGEST]


def reads_like_an_instruction(record: Mapping[str, Any]) -> bool:
    """Whether some text of *record* speaks to its reader."""
    return any(_addressed.search(text) for text in _texts(record))


def _doubt(said: Said, record: Mapping[str, Any]) -> str:
    """Why nothing but words is taken over; "" where more may be."""
    if reads_like_an_instruction(record):
        return "the record reads like an instruction"
    evidence = _plain(said.evidence)
    known = _plain(" ".join(_texts(record)))
    if len(evidence) < _LEAST_EVIDENCE or f" {evidence} " not in f" {known} ":
        return "its evidence is not in the record"
    return ""


def _severity(
    weighed: float, wanted: float | None, band: float, doubt: str
) -> tuple[float, list[str]]:
    if wanted is None or wanted == weighed or not band:
        return weighed, []
    if wanted < weighed:
        return weighed, ["severity: it is never lowered"]
    if doubt:
        return weighed, [f"severity: {doubt}"]
    most = min(weighed + band, 1.0)
    if wanted > most:
        return most, [f"severity: {wanted:g} is above the band, which ends at {most:g}"]
    return wanted, []


def _known(wanted: tuple[str, ...], skills: tuple[str, ...]) -> Iterator[str]:
    spelt = {skill.casefold(): skill for skill in skills}
    for skill in dict.fromkeys(name.strip().casefold() for name in wanted):
        if skill in spelt:
            yield spelt[skill]


def _texts(record: Mapping[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        yield name
        yield value if isinstance(value, str) else json.dumps({name: value}, default=str)


def _plain(text: str) -> str:
    return " ".join(_word.findall(text.casefold()))
