"""`audit checkpoint` and `audit key`: sign what the journals are, and the key that does."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import journals_argument, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace


@click.command(
    epilog=options.example("audit checkpoint", "audit checkpoint zones --json", "audit key new")
)
@journals_argument()
@options.as_json
@pass_workspace
def checkpoint(workspace: Workspace, journals: tuple[str, ...], as_json: bool) -> None:
    """
    Sign the journals as they are now: number of lines and Merkle root.

    Each note is left in memory/checkpoints/ to be copied where nobody can change it.  Whoever has
    one, and the verifier key, can tell later whether those lines are still the same.
    """
    from dino_os.auditing import Auditing  # noqa: PLC0415

    auditing = Auditing(workspace, ask_passphrase)
    signed = auditing.checkpoint(journals)
    if as_json:
        output.emit_json(
            {
                "checkpoints": [
                    {
                        "journal": s.journal,
                        "origin": s.checkpoint.origin,
                        "lines": s.checkpoint.size,
                        "root": s.checkpoint.root.hex(),
                        "note": s.text,
                        "file": str(auditing.note_file(s.journal)),
                    }
                    for s in signed
                ]
            }
        )
        return
    rows = [(s.journal, f"{s.checkpoint.size:,}", auditing.note_file(s.journal)) for s in signed]
    output.table(("journal", "lines", "note"), rows, numbers=("lines",))
    if not signed:
        output.say("no journals yet")


@click.group(epilog=options.example("audit key show"), invoke_without_command=True)
@click.pass_context
@options.as_json
def key(ctx: click.Context, as_json: bool) -> None:
    """The key that signs checkpoints: new, show, rotate."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_key, as_json=as_json)


@key.command("new", epilog=options.example("audit key new", "audit key new --no-passphrase"))
@click.option("--passphrase/--no-passphrase", default=None, help="Seal it; asked on a terminal.")
@options.as_json
@pass_workspace
def new_key(workspace: Workspace, passphrase: bool | None, as_json: bool) -> None:
    """Make this workspace's signing key and print the verifier key that others need."""
    from dino_os.auditing import Auditing  # noqa: PLC0415

    made = Auditing(workspace, ask_passphrase).new_key(_new_passphrase(passphrase))
    _tell(workspace, str(made), as_json=as_json)


@key.command("rotate", epilog=options.example("audit key rotate"))
@click.option("--passphrase/--no-passphrase", default=None, help="Seal it; asked on a terminal.")
@options.as_json
@pass_workspace
def rotate_key(workspace: Workspace, passphrase: bool | None, as_json: bool) -> None:
    """
    Replace the signing key; the old one endorses the new one in the record.

    Checkpoints signed before stay good under the old verifier key.
    """
    from dino_os.auditing import Auditing  # noqa: PLC0415

    made = Auditing(workspace, ask_passphrase).rotate_key(_new_passphrase(passphrase))
    _tell(workspace, str(made), as_json=as_json)


@key.command("show", epilog=options.example("audit key show", "audit key show --json"))
@options.as_json
@pass_workspace
def show_key(workspace: Workspace, as_json: bool) -> None:
    """Print the verifier key, in the form that C2SP tools read."""
    from dino_os.auditing import Auditing  # noqa: PLC0415

    _tell(workspace, str(Auditing(workspace).verifier()), as_json=as_json, warn=False)


def ask_passphrase(key_file: Path) -> str | None:
    """The passphrase of a sealed key: from the environment, or asked where somebody is there."""
    from dino_os.auditing import passphrase_from_environment  # noqa: PLC0415

    if given := passphrase_from_environment():
        return given
    if not sys.stdin.isatty():
        return None
    answer: str = click.prompt(f"passphrase of {key_file}", hide_input=True, err=True)
    return answer


def _new_passphrase(wanted: bool | None) -> str | None:
    from dino_os.auditing import PASSPHRASE_VARIABLE, passphrase_from_environment  # noqa: PLC0415

    if wanted is False:
        return None
    if given := passphrase_from_environment():
        return given
    if sys.stdin.isatty():
        answer: str = click.prompt(
            "passphrase for the new key (empty for none)" if wanted is None else "passphrase",
            hide_input=True,
            confirmation_prompt=True,
            default="" if wanted is None else None,
            show_default=False,
            err=True,
        )
        return answer or None
    if wanted:
        raise InvalidInput(
            "no terminal to ask for a passphrase", hint=f"give it in ${PASSPHRASE_VARIABLE}"
        )
    return None


def _tell(workspace: Workspace, verifier: str, *, as_json: bool, warn: bool = True) -> None:
    from engines.audit import is_sealed  # noqa: PLC0415

    file = workspace.signing_key
    sealed = is_sealed(file)
    if as_json:
        output.emit_json({"verifier_key": verifier, "file": str(file), "sealed": sealed})
        return
    output.say(verifier)
    if warn and not sealed:
        click.echo(
            f"dino: {file} is not sealed by a passphrase; only its mode protects it", err=True
        )
