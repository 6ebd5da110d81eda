"""The vault, opened by a command: in a process made ready to hold what is in it."""

from __future__ import annotations

import sys
from typing import Any

import click

from dino_os.workspace import Workspace


def open_vault(workspace: Workspace) -> Any:
    """The gateway, in a process that is made ready to hold secrets."""
    from dino_os.security_gateway.hardening import harden  # noqa: PLC0415

    harden()
    workspace.ask_passphrase = _ask
    return workspace.security


def open_to_screen(workspace: Workspace) -> None:
    """Where there is a vault, open it: its values are looked for in what models are told."""
    if (workspace.memory / "vault" / "vault.json").exists():
        open_vault(workspace)


def _ask(prompt: str) -> str | None:
    if not sys.stdin.isatty():
        return None
    new = prompt.startswith("new")
    answer: str = click.prompt(
        prompt,
        hide_input=True,
        confirmation_prompt=new,
        default="" if new else None,
        show_default=False,
        err=True,
    )
    return answer
