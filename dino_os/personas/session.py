"""A model for the personas, and the run of it in the agent log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from dino_os.workspace import Workspace


class Session(NamedTuple):
    """
    One run.

    Attributes:
        run: Its id in the agent log.
        finish: Ends it on record: outcome, output, error.
    """

    run: str
    model: Model
    finish: Callable[[str, Mapping[str, Any], str | None], None]


def open_session(workspace: Workspace, goal: str) -> Session:
    """
    Begin a run of the configured models.

    Raises:
        DinoError: No model can be had.
    """
    from dino_os.agent_core import open_chain  # noqa: PLC0415  for those who ask a model

    log = workspace.agent_log
    actor, _, door = workspace.operator.rpartition("@")
    run = log.begin("persona", goal, actor=actor, door=door)

    def finish(outcome: str, output: Mapping[str, Any], error: str | None) -> None:
        log.finish(run, outcome, output, error)

    try:
        near = workspace.config.settings.personas.local_only
        return Session(run, open_chain(workspace, run=run, local_only=near), finish)
    except Exception as error:
        finish("error", {}, type(error).__name__)
        raise
