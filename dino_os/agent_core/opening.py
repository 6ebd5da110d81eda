"""The chain of a workspace: its providers, its budget, its health, what must not leave it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from dino_os.errors import ModelUnavailable

if TYPE_CHECKING:
    from dino_os.agent_core.chain import Chain
    from dino_os.agent_core.health import Health
    from dino_os.agent_core.providers import Provider
    from dino_os.agent_core.screening import Screen
    from dino_os.agent_core.terms import Screen as AnyScreen
    from dino_os.config.llm import Llm
    from dino_os.workspace import Workspace
    from engines.agent_log import Budget

EXTRA = "pip install 'dino-os[agent]'"


def open_chain(
    workspace: Workspace,
    *,
    run: str,
    local_only: bool = False,
    provider: str | None = None,
    model: str | None = None,
    labels: Collection[str] = (),
    among: Sequence[Provider] | None = None,
    screen: AnyScreen | None = None,
    note: Callable[[str], None] | None = None,
) -> Chain:
    """
    The model that asks the providers of *workspace* in their order.

    Args:
        run: Whose calls they are: its id in `workspace.agent_log`.
        local_only: Ask only servers of this machine and its network, as `llm.local_only` does.
        provider: Ask only that one; with another *model*, where one is named.
        labels: Of what is going to be said; `llm.private_to_local` keeps some near.
        among: Ask these instead of those of the settings; *provider* and *model* then say nothing.
        screen: Keeps secrets out of prompts; by default the workspace's own.
        note: Is told what somebody should know, though there is an answer.

    Raises:
        ModelUnavailable: What it takes is not installed.
        ConfigError: No provider is configured, or one is wrong.
        NotFound: There is no such provider.
    """
    require_library()
    from dino_os.agent_core.chain import Chain  # noqa: PLC0415  with all of the library
    from dino_os.agent_core.terms import Terms  # noqa: PLC0415

    settings = workspace.config.settings.llm
    known = workspace.known_secrets
    terms = Terms(
        run,
        workspace.agent_log,
        health_of(workspace),
        budget_of(settings),
        near_only=local_only
        or workspace.near_only
        or settings.local_only
        or not set(settings.private_to_local).isdisjoint(labels),
        retries=settings.retries,
        screen=screen or screen_of(workspace),
        clean=lambda text: str(known.blotted_out(text)),
        note=note or len,
    )
    return Chain(asked(workspace, provider, model) if among is None else among, terms)


def asked(
    workspace: Workspace,
    provider: str | None = None,
    model: str | None = None,
    given: Provider | None = None,
) -> list[Provider]:
    """The providers that are meant; raises as `open_chain`."""
    from dino_os.agent_core.providers import chosen, providers_of  # noqa: PLC0415  msgspec

    if given:
        return [given]
    return chosen(providers_of(workspace.config, workspace.key), provider, model)


def screen_of(workspace: Workspace) -> Screen:
    """What keeps secrets out of a run's prompts, and personal data where `llm.pseudonyms` says."""
    from dino_os.agent_core.screening import Screen  # noqa: PLC0415  detectors, for whoever asks

    return Screen(workspace, personal=workspace.config.settings.llm.pseudonyms == "all")


def health_of(workspace: Workspace) -> Health:
    from dino_os.agent_core.health import Health  # noqa: PLC0415  where something is asked

    return Health(workspace.memory / "llm_health.json")


def budget_of(settings: Llm) -> Budget:
    """What may be spent in a day and in a run; in the settings 0 is no limit."""
    from engines.agent_log import Budget  # noqa: PLC0415  as above

    day, run = settings.budget, settings.run_budget
    return Budget(
        day.calls or None,
        day.tokens or None,
        day.money or None,
        run.calls or None,
        run.tokens or None,
        run.money or None,
    )


def require_library() -> None:
    """
    Import the library of models.

    Raises:
        ModelUnavailable: It is not installed.
    """
    try:
        importlib.import_module("pydantic_ai.models.openai")
    except ImportError as error:
        lacks = error.name or "pydantic_ai"
        why = f"language models need the package {lacks}, which is not installed"
        raise ModelUnavailable(why, hint=EXTRA) from None
