"""
The functions that workers call for Dino itself, outside the sandbox.

Every worker runs them, whatever the settings name: only what makes their tasks may ask for them.
"""

from __future__ import annotations

from dino_os.errors import InvalidInput

REPLAY = "dino_os.nav.duty:replay"  # named here, so that no worker imports all of the nav mesh
EMBED = "dino_os.memory_layer.duty:embed"
ASK_MODELS = "dino_os.agent_core.duty:ask"


def own_calls() -> frozenset[str]:
    """Their names, as "module:name"."""
    from dino_os.orders.tasks import ASK_PROVIDER  # noqa: PLC0415  a job that names none is usual
    from dino_os.outbox.duty import SEND  # noqa: PLC0415

    return frozenset({ASK_MODELS, ASK_PROVIDER, EMBED, REPLAY, SEND})


def refuse_own_call(func: str) -> None:
    """
    Stop where *func* is one of them.

    Raises:
        InvalidInput: It is.
    """
    if ":" in func and func in own_calls():
        raise InvalidInput(f"{func!r} is for Dino itself; no job calls it")
