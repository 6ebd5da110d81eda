"""
Facts and rules in YAML.

    facts: [dock, {symbol: tide, value: 2.5}]
    rules:
      - {id: sail, premises: [dock, tide], conclusion: sea, cost: 2, bearers: {Ada: 3, Ben: 1}}
      - {id: rest, conclusion: rested, cost: 1, bearers: [Ada], beneficiaries: [Ben]}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import field

from dino_os.errors import InvalidInput
from dino_os.planning.forms import Form, Name, NotNegative
from dino_os.typed_files import Document, load
from engines.trajectory import Fact, Rule, load_pddl

Amounts = list[Name] | dict[Name, NotNegative]
_PDDL = ".pddl"
Value = str | bool | int | float | None


class FactForm(Form):
    symbol: Name
    value: Value = True


class RuleForm(Form):
    id: Name
    conclusion: Name
    premises: list[Name] = field(default_factory=list)
    cost: NotNegative = 1.0
    bearers: Amounts = field(default_factory=list)
    beneficiaries: Amounts = field(default_factory=list)

    def build(self) -> Rule:
        parties: Any = {"bearers": self.bearers, "beneficiaries": self.beneficiaries}
        return Rule(self.id, tuple(self.premises), self.conclusion, self.cost, **parties)


class RulesFile(Form):
    facts: list[Name | FactForm] = field(default_factory=list)
    rules: list[RuleForm] = field(default_factory=list)


def load_rules(path: Path) -> tuple[list[Fact], list[Rule]]:
    """
    The facts and rules of the YAML (or JSON) file at *path*.

    Raises:
        InvalidInput: Something in it is wrong, or stands twice; says where.
    """
    form, document = load(path, RulesFile)
    facts = [
        Fact(given) if isinstance(given, str) else Fact(given.symbol, given.value)
        for given in form.facts
    ]
    _refuse_twins(document, "facts", [fact.symbol for fact in facts])
    _refuse_twins(document, "rules", [rule.id for rule in form.rules])
    rules = []
    for number, given in enumerate(form.rules):
        try:
            rules.append(given.build())
        except InvalidInput as error:
            raise document.error(("rules", number), error.message) from None
    return facts, rules


def _refuse_twins(document: Document, part: str, names: list[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise document.error((part, number), f"{name!r} stands twice")
        seen.add(name)


def load_any(files: Sequence[Path]) -> tuple[list[Fact], list[Rule]]:
    """
    The facts and rules of one YAML file, or of a domain and a problem in PDDL.

    Raises:
        InvalidInput: They are neither, or something in them is wrong.
    """
    if len(files) == 1 and files[0].suffix.lower() != _PDDL:
        return load_rules(files[0])
    if len(files) == 2 and all(file.suffix.lower() == _PDDL for file in files):  # noqa: PLR2004
        return load_pddl(*files)
    raise InvalidInput(
        "expected one YAML file, or a domain and a problem in PDDL",
        hint="dino trajectory rules import domain.pddl problem.pddl",
    )
