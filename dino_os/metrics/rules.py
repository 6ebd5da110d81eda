"""The alert rules of a workspace: those of its settings, and those of the file they name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dino_os.config.metrics import Alert
from dino_os.errors import InvalidInput
from dino_os.typed_files import Document, Step, read_text
from dino_os.units import seconds
from engines.metrics import (
    MOST_NAMES,
    AlertRule,
    known_names,
    read_expression,
    refuse_unknown,
)

if TYPE_CHECKING:
    from dino_os.workspace import Workspace

MOST_WATCHED = MOST_NAMES - 50  # there are gauges and meters besides
ErrorAt = Callable[[tuple[Step, ...], str], InvalidInput]


class RulesFile(Struct, forbid_unknown_fields=True, frozen=True):
    """A file of rules."""

    alerts: list[Alert]


def rules_of(workspace: Workspace) -> list[AlertRule]:
    """
    Its rules, those of the settings first.

    Raises:
        InvalidInput: A rule is wrong or asks for no metric, with file and line; two have one name;
            or they watch too much.
    """
    settings = workspace.config.settings.metrics
    found = _read(settings.alerts, ("metrics", "alerts"), workspace.config.error_at)
    if settings.alerts_file:
        found += rules_in(workspace.root / settings.alerts_file)
    _refuse_twins(found)
    watched = {rule.expression.watched for rule in found} - {None}
    if len(watched) > MOST_WATCHED:
        raise InvalidInput(
            f"alert rules ask by how much {len(watched)} things grew; "
            f"readings of {MOST_WATCHED} are kept"
        )
    return found


def rules_in(path: Path) -> list[AlertRule]:
    """
    The rules in the file at *path*.

    Raises:
        InvalidInput: A rule is wrong, with file and line.
    """
    document = Document(read_text(path), str(path), is_json=path.suffix == ".json")
    found = _read(document.convert(RulesFile).alerts, ("alerts",), document.error)
    _refuse_twins(found)
    return found


def _read(alerts: Sequence[Alert], above: tuple[Step, ...], error_at: ErrorAt) -> list[AlertRule]:
    found = []
    known = known_names() if alerts else []
    for number, alert in enumerate(alerts):
        try:
            expression = read_expression(alert.expr)
            refuse_unknown(expression, known)
        except InvalidInput as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise error_at((*above, number, "expr"), f"{error.message}{hint}") from None
        for_s = seconds(alert.for_, "for") if alert.for_ else 0.0
        found.append(AlertRule(alert.name, expression, for_s, alert.severity, alert.summary))
    return found


def _refuse_twins(rules: Sequence[AlertRule]) -> None:
    seen = set()
    for rule in rules:
        if rule.name in seen:
            raise InvalidInput(f"there are two alert rules named {rule.name!r}")
        seen.add(rule.name)
