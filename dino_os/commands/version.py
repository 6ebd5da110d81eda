"""`dino version`."""

from __future__ import annotations

import platform

import click

from dino_os import __version__
from dino_os.commands import options


@click.command(epilog=options.example("dino version --json", "audit version"))
@options.as_json
def version(as_json: bool) -> None:
    """Show the version."""
    if as_json:
        from dino_os.commands.output import emit_json  # noqa: PLC0415

        emit_json(
            {"version": __version__, "python": platform.python_version(), "journal_format": 1}
        )
    else:
        click.echo(f"dino {__version__}")
