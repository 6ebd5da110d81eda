"""The workspace a command works in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def open_workspace(ctx: click.Context) -> Workspace:
    """
    The workspace of this call: `--home`, else what `Workspace.find` finds.

    Raises:
        InvalidInput: The folder that was named does not exist.
    """
    known: Workspace | None = ctx.meta.get("dino.workspace")
    if known is None:
        home = ctx.find_root().params.get("home")
        known = Workspace(Path(home)) if home else Workspace.find()
        if not known.root.is_dir():
            raise InvalidInput(
                f"{known.root}: no such folder",
                hint=f"`dino init {known.root}` makes a workspace there",
            )
        ctx.meta["dino.workspace"] = known
        ctx.find_root().call_on_close(functools.partial(_leave, known))
    return known


def _leave(workspace: Workspace) -> None:
    workspace.settle()
    if any(journal.wrote for journal in workspace.opened):
        from dino_os.upkeep import after_writing  # noqa: PLC0415  only behind a command that wrote

        after_writing(workspace)


def pass_workspace(command: Callable[..., R]) -> Callable[..., R]:
    """Hand the workspace to a command as its first argument."""

    @functools.wraps(command)
    def with_workspace(*args: Any, **kwargs: Any) -> R:
        return command(open_workspace(click.get_current_context()), *args, **kwargs)

    return with_workspace


def complete(names: Callable[[Workspace], Any]) -> Callable[..., list[str]]:
    """Shell completion from what *names* finds in the workspace; silent where it finds nothing."""

    def completer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        try:
            return [name for name in names(open_workspace(ctx)) if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001  a key press is no place for an error
            return []

    return completer


def _journal_names(workspace: Workspace) -> list[str]:
    return [path.stem for path in workspace.journals()]


journal_argument = click.argument("journal", shell_complete=complete(_journal_names))


def journals_argument(metavar: str = "[JOURNAL]...") -> Callable[[F], F]:
    """Names of journals, completed by the shell; none stands for all."""
    return click.argument(
        "journals", nargs=-1, metavar=metavar, shell_complete=complete(_journal_names)
    )
