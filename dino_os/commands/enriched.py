"""What models changed of a cycle, as people see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dino_os.commands import output
from dino_os.commands.vault import open_vault

if TYPE_CHECKING:
    from dino_os.personas.model import Told
    from dino_os.workspace import Workspace


def open_for_models(workspace: Workspace) -> None:
    """Open the vault where a persona asks a model: what is secret must be known."""
    personas = workspace.config.settings.personas
    if personas.research.model or personas.execution.model or personas.risk.model:
        open_vault(workspace)


def show_enrichment(told: Told | None, show: int) -> None:
    """What models added, what was refused of it, and why the rest stands as it was."""
    if told is None:
        return
    show_changes(told.changes, show)
    asked = output.counted(told.asked, "signal")
    run = f" (run {told.run})" if told.run else ""
    output.say(f"\na model was asked about {asked}{run}")
    for row, count in Counter(row["reason"] for row in told.refused).items():
        output.say(f"  refused {count:,}: {row}")
    for row, count in Counter(row["reason"] for row in told.fallbacks).items():
        output.say(f"  without a model {count:,}: {row}")


def show_changes(changes: Sequence[Mapping[str, Any]], show: int) -> None:
    """Field by field: before, after, and whose words it is now."""
    if not changes:
        return
    output.heading("\nWhat a model changed")
    shown, left = output.first_of(changes, show)
    rows = [
        (c["signal"], c["persona"], c["field"], _text(c["before"]), _text(c["after"]), c["model"])
        for c in shown
    ]
    output.table(("signal", "persona", "field", "before", "after", "model"), rows)
    output.more(left, "change")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "" if value is None else str(value)
