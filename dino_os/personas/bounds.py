"""
What of a model's words reaches a signal.

Whatever it says, and whatever a record talked it into: the summary begins as it was, severity is
never lower and at most the band higher, skills are known ones for a task that names none, and where
a task is, who it is and how long it takes cannot be said at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from dino_os.personas.model import Change, Rules, Said
from engines.personas import PersonaSignal

_LONGEST = 300  # characters of a text
_MOST_SKILLS = 3
_LEAST_EVIDENCE = 3  # characters
_COMPUTED = frozenset({"zone", "sector"})  # of the record that a model is shown
_Edits: TypeAlias = list[tuple[str, Any, Any]]
_Judged: TypeAlias = tuple[_Edits, list[str]]
"""Field, before and after of each change, and why others are none."""
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
    doubt = _doubt(said, record)
    changes: list[Change] = []
    refused: list[str] = []
    for persona, judge in _JUDGES.items():
        if persona not in rules.personas:
            continue
        edits, reasons = judge(signal, said, rules, doubt)
        refused += reasons
        changes += [Change(persona, *edit, said.provider, said.model, run) for edit in edits]
    if not changes:
        return signal, changes, refused
    fields = {change.field: change.after for change in changes}
    more = {"argument": fields.pop("argument")} if "argument" in fields else {}
    enriched = [change.as_dict() for change in changes]
    fields["metadata"] = {**(signal.metadata or {}), **more, "enriched": enriched}
    return replace(signal, **fields), changes, refused


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
    said_of_it = {name: value for name, value in record.items() if name not in _COMPUTED}
    known = _plain(" ".join(text for text in said_of_it.values() if isinstance(text, str)))
    if len(evidence) < _LEAST_EVIDENCE or f" {evidence} " not in f" {known} ":
        return "its evidence is not in the record"
    return ""


def _remark(signal: PersonaSignal, said: Said, rules: Rules, doubt: str) -> _Judged:
    """Words are words, whatever the doubt."""
    del rules, doubt
    remark = one_line(said.summary)
    if not remark or _plain(remark) in _plain(signal.summary):
        return [], []
    return [("summary", signal.summary, f"{signal.summary}; {remark}")], []


def _skills(signal: PersonaSignal, said: Said, rules: Rules, doubt: str) -> _Judged:
    if not said.skills or signal.required_skills:
        return [], []
    wanted = {skill.strip().casefold() for skill in said.skills}
    known = [skill for skill in rules.skills if skill.casefold() in wanted]
    refused = ["skills: some are no agent's"] if len(known) < len(wanted) else []
    if known and doubt:
        return [], [*refused, f"skills: {doubt}"]
    return ([("required_skills", [], known[:_MOST_SKILLS])] if known else []), refused


def _severity(signal: PersonaSignal, said: Said, rules: Rules, doubt: str) -> _Judged:
    argument, before, wanted = one_line(said.argument), signal.severity, said.severity
    edits: _Edits = [("argument", None, argument)] if argument else []
    if wanted is None or wanted == before or not rules.severity_band:
        return edits, []
    if wanted < before or doubt:
        return edits, [f"severity: {doubt}" if wanted > before else "severity: it is never lowered"]
    most = min(before + rules.severity_band, 1.0)
    refused = [f"severity: it ends with the band, at {most:g}"] if wanted > most else []
    after = min(wanted, most)
    return ([*edits, ("severity", before, after)] if after > before else edits), refused


_JUDGES: Mapping[str, Callable[[PersonaSignal, Said, Rules, str], _Judged]] = {
    "research": _remark,
    "execution": _skills,
    "risk": _severity,
}


def _texts(record: Mapping[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        yield name
        yield value if isinstance(value, str) else json.dumps({name: value}, default=str)


def _plain(text: str) -> str:
    return " ".join(_word.findall(text.casefold()))
