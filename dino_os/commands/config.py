"""`dino config`: settings and where they come from."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace


def _paths(workspace: Workspace) -> list[str]:
    return [".".join(path) for path in workspace.config.paths()]


_setting = click.argument("path", metavar="SECTION.NAME", shell_complete=complete(_paths))


@click.group(
    epilog=options.example("dino config show", "dino config set planning.horizon 8"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def config(ctx: click.Context, as_json: bool) -> None:
    """Settings: show, get, set."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show, as_json=as_json)


@config.command(epilog=options.example("dino config show --json"))
@options.as_json
@pass_workspace
def show(workspace: Workspace, as_json: bool) -> None:
    """Every setting, its value, and where that comes from."""
    settings = workspace.config
    found = [
        {"path": name, "value": settings.get(name), "source": settings.source_of(*path)}
        for path in settings.paths()
        for name in [".".join(path)]
    ]
    if as_json:
        output.emit_json({"file": str(settings.path), "settings": found})
    else:
        rows = [tuple(setting.values()) for setting in found]
        output.table(("setting", "value", "from"), rows)


@config.command(epilog=options.example("dino config get planning.horizon"))
@_setting
@options.as_json
@pass_workspace
def get(workspace: Workspace, path: str, as_json: bool) -> None:
    """One setting, or a whole section."""
    value = workspace.config.get(path)
    if as_json:
        output.emit_json({"path": path, "value": value})
    elif isinstance(value, dict):
        for name, setting in value.items():
            output.say(f"{name}: {setting}")
    else:
        output.say(str(value))


@config.command(
    "set",
    epilog=options.example("dino config set planning.alert_threshold 0.6"),
    context_settings={"ignore_unknown_options": True},
)
@_setting
@click.argument("value")
@pass_workspace
def set_value(workspace: Workspace, path: str, value: str) -> None:
    """Write a setting into config.yaml, keeping its comments."""
    workspace.config.set(path, _read(value))
    output.say(f"{path} = {workspace.config.get(path)}")
    source = workspace.config.source_of(*path.split("."))
    if source.startswith("$"):
        output.say(f"note: {source} is set and stays in force before the file")


@config.command(epilog=options.example("dino config path"))
@pass_workspace
def path(workspace: Workspace) -> None:
    """Where config.yaml is, or would be."""
    output.say(str(workspace.config.path))


def _read(text: str) -> Any:
    """A value as YAML reads it, so that 5 is a number and "5" in quotes is text."""
    from dino_os.typed_files import Document  # noqa: PLC0415

    return Document(text, "VALUE").data
