"""A model for the personas, and the run of it in the agent log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from dino_os.agent.posture import Marking
    from dino_os.workspace import Workspace


class Session(NamedTuple):
    """
    One run.

    Attributes:
        run: Its id in the agent log.
        marking: Marks what is data.
        finish: Ends it on record: outcome, output, error.
    """

    run: str
    model: Model
    marking: Marking
    finish: Callable[[str, Mapping[str, Any], str | None], None]


def open_session(workspace: Workspace, goal: str) -> Session:
    """
    Begin a run of the configured models.

    Raises:
        DinoError: No model can be had, or nobody could tell what is secret.
    """
    from dino_os.agent.posture import Marking  # noqa: PLC0415  for those who ask a model
    from dino_os.agent_core.opening import open_chain, require_library  # noqa: PLC0415

    require_library()
    log = workspace.agent_log
    near = workspace.config.settings.personas.local_only
    actor, _, door = workspace.operator.rpartition("@")
    run = log.begin("persona", goal, actor=actor, door=door)

    def finish(outcome: str, output: Mapping[str, Any], error: str | None) -> None:
        log.finish(run, outcome, output, error)

    try:
        chain = open_chain(workspace, run=run, local_only=near)
    except Exception as error:
        finish("error", {}, type(error).__name__)
        raise
    return Session(run, chain, Marking(workspace.gate_keys.pseudonyms(), run), finish)
