"""
The front doors: a table of commands that are imported when they are called, and the one place
where an error becomes a message and an exit code.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

from engines.errors import DinoError

_INTERRUPTED = 130
_SIGNATURES = {"help_option_names": ["-h", "--help"]}


class Front(click.Group):
    """
    A group whose commands are imported on first use.

    Args:
        name: What the user types.
        help: What the whole is for.
        example: A line that works.
        commands: Name → ("module:attribute" below this package, one line of help).
    """

    def __init__(
        self, name: str, help: str, *, example: str, commands: Mapping[str, tuple[str, str]]
    ) -> None:
        super().__init__(
            name,
            help=help,
            epilog=f"Example:  {example}",
            context_settings=_SIGNATURES,
            params=[_home_option(), _version_option()],
        )
        self._table = commands

    # --- commands ----------------------------------------------------------------------------

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table, *sorted(self._from_plugins(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if entry := self._table.get(cmd_name):
            module, _, attribute = entry[0].partition(":")
            found: click.Command = getattr(import_module(f"dino_os.commands.{module}"), attribute)
            return found
        return self._from_plugins(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from engines.checks import did_you_mean  # noqa: PLC0415  only on the way to an error

            guess = did_you_mean(args[0], self.list_commands(ctx))
            ctx.fail(f"no command {args[0]!r}{guess}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # Click would break the line, whoever reads it
            if sys.stderr.isatty():
                click.echo(err=True)
            raise click.Abort from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table: help imports none of what it describes.
        lines = [(name, text) for name, (_, text) in self._table.items()]
        lines += [(name, c.get_short_help_str()) for name, c in self._from_plugins(ctx).items()]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def _from_plugins(self, ctx: click.Context) -> Mapping[str, click.Command]:
        """What installed packages add; nothing of theirs is imported where none is installed."""
        if self.name != "dino":
            return {}
        found: Mapping[str, click.Command] | None = ctx.meta.get("dino.plugin_commands")
        if found is None:
            from dino_os.installed import installed_plugins  # noqa: PLC0415

            found = {}
            if installed_plugins():
                from dino_os.commands.workspace import open_workspace  # noqa: PLC0415

                brought = open_workspace(ctx).plugins.commands()
                found = {name: c for name, c in brought.items() if name not in self._table}
            ctx.meta["dino.plugin_commands"] = found
        return found

    # --- errors ------------------------------------------------------------------------------

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        args = list(sys.argv[1:] if args is None else args)
        prog_name = prog_name or self.name
        _open_closed_streams()
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        as_json = "--json" in args
        try:
            # What a command returns is of no interest; what ctx.exit() was given is the code.
            code = super().main(args, prog_name, standalone_mode=False, **extra)
            sys.stdout.flush()
        except Exception as error:  # noqa: BLE001  the one place where all of them end
            _leave(error, as_json=as_json)
        except KeyboardInterrupt:
            _say("interrupted; what was acknowledged is kept", as_json=as_json, code="interrupted")
            sys.exit(_INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _open_closed_streams() -> None:
    """Give a stream that our caller closed (`>&-`) a place, before a journal is opened there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _leave(error: Exception, *, as_json: bool) -> NoReturn:
    """Say what *error* means and exit with its code."""
    if os.environ.get("DINO_DEBUG"):
        raise error
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and error.ctx:
        click.echo(error.ctx.get_help())
        sys.exit(0)
    if isinstance(error, click.Abort):
        _say("interrupted", as_json=as_json, code="interrupted")
        sys.exit(_INTERRUPTED)
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # Whoever read our output has seen enough; nothing more can be said to them.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if isinstance(error, DinoError):
        _say(error.message, as_json=as_json, code=error.code, hint=error.hint)
        sys.exit(error.exit_code)
    if isinstance(error, click.ClickException):
        _say(error.format_message(), as_json=as_json, code="usage", hint=_usage_hint(error))
        sys.exit(error.exit_code)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}", as_json=as_json, code="os_error")
        sys.exit(1)
    _say(
        f"internal error: {type(error).__name__}: {error}",
        as_json=as_json,
        code="internal",
        hint="this is a fault of Dino's; DINO_DEBUG=1 shows where it is",
    )
    sys.exit(1)


def _say(message: str, *, as_json: bool, code: str, hint: str | None = None) -> None:
    from dino_os.commands.output import printable  # noqa: PLC0415

    if as_json:
        document: MutableMapping[str, Any] = {"code": code, "message": message, "hint": hint}
        text = json.dumps(document, ensure_ascii=False)
    else:
        text = f"dino: {message}" + (f"\n      {hint}" if hint else "")
    click.echo(printable(text), err=True)


def _usage_hint(error: click.ClickException) -> str | None:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"`{ctx.command_path} --help` shows how it is used" if ctx else None


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        metavar="DIR",
        help="The workspace; else $DINO_HOME, else the nearest folder up with a config.yaml.",
        type=click.Path(file_okay=False),
    )


def _version_option() -> click.Option:
    def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        del param
        if value and not ctx.resilient_parsing:
            from dino_os import __version__  # noqa: PLC0415

            click.echo(f"dino {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and exit.",
    )
