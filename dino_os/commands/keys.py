"""`dino keys`: secrets that skills use.  Values come by a pipe or a prompt, never as arguments."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import complete, open_workspace, pass_workspace
from dino_os.errors import InvalidInput, SecurityError
from dino_os.workspace import Workspace

_TEST_S = 300.0
_OWN_VARIABLES = ("DINO_VAULT_PASSPHRASE", "DINO_VAULT_PASSPHRASE_NEW", "DINO_KEY_PASSPHRASE")

_name = click.argument(
    "name", shell_complete=complete(lambda workspace: workspace.security.list_keys())
)


@click.group(
    epilog=options.example("dino keys", "dino keys set weather < key.txt", "dino keys list"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def keys(ctx: click.Context, as_json: bool) -> None:
    """
    Secrets that skills use: set, get, rotate, delete.

    Alone it says how the vault is locked and how many keys are in it.
    """
    if ctx.invoked_subcommand is None:
        _show_status(open_workspace(ctx), as_json=as_json)


def _show_status(workspace: Workspace, *, as_json: bool) -> None:
    facts = open_vault(workspace).status()
    if as_json:
        output.emit_json(facts)
    elif facts["vault"] is None:
        output.say("no vault yet; `dino keys set NAME` makes it")
    else:
        output.say(f"{output.counted(facts['keys'], 'key')} in {facts['vault']}")
        output.say(f"locked by {_LOCKS.get(facts['locked_by'], facts['locked_by'])}")


_LOCKS = {
    "keyring": "the system's keyring",
    "passphrase": "a passphrase",
    "file": "a key file outside the workspace",
}


@keys.command(
    "set",
    epilog=options.example(
        "dino keys set weather", "pass show weather | dino keys set weather --expires 90d"
    ),
)
@_name
@click.option("--expires", type=options.DURATION, help="How long it is good for (90d).")
@click.option("--meta", multiple=True, metavar="NAME=VALUE", help="Kept beside it, in clear.")
@options.as_json
@pass_workspace
def set_key(
    workspace: Workspace, name: str, expires: float | None, meta: tuple[str, ...], as_json: bool
) -> None:
    """Keep a secret; its value is read from standard input, or asked for without showing it."""
    from dino_os.redaction import SHORTEST  # noqa: PLC0415

    until = time.time() + expires if expires else None
    gateway, metadata = open_vault(workspace), _metadata(meta)
    value = _value(name)
    gateway.set_key(name, value, metadata, until)
    output.answer(_facts(gateway, name), f"key {name!r} is kept", as_json=as_json)
    if len(value) < SHORTEST:
        click.echo(
            f"dino: so short a value (under {SHORTEST}) is not blotted out of output", err=True
        )


@keys.command(epilog=options.example("dino keys get weather", "dino keys get weather --reveal"))
@_name
@click.option("--reveal", is_flag=True, help="Print the value itself.")
@options.as_json
@pass_workspace
def get(workspace: Workspace, name: str, reveal: bool, as_json: bool) -> None:
    """Show a key, masked unless --reveal; that it was asked for is recorded."""
    gateway = open_vault(workspace)
    gateway.key_history(name)
    value = gateway.get_key(name, masked=not reveal)
    if as_json:
        output.emit_json({"key": name, "value": value, "masked": not reveal})
    elif reveal and not sys.stdout.isatty():
        click.echo(value)  # as it is: a program reads it
    else:
        output.say(str(value))


@keys.command("list", epilog=options.example("dino keys list", "dino keys list --json"))
@options.as_json
@pass_workspace
def list_keys(workspace: Workspace, as_json: bool) -> None:
    """Every key: its name and what is known of it."""
    found = open_vault(workspace).describe_keys()
    if as_json:
        output.emit_json({"keys": found})
    elif not found:
        output.say("no keys yet; `dino keys set NAME` keeps one")
    else:
        rows = [
            (k["key"], k["version"], k["created"][:19], _shown(k["expires"]), _told(k["metadata"]))
            for k in found
        ]
        columns = ("key", "version", "since", "expires", "metadata")
        output.table(columns, rows, numbers=("version",))


@keys.command(epilog=options.example("dino keys history weather"))
@_name
@options.as_json
@pass_workspace
def history(workspace: Workspace, name: str, as_json: bool) -> None:
    """The versions of a key, oldest first."""
    found = open_vault(workspace).key_history(name)
    if as_json:
        output.emit_json({"key": name, "versions": found})
    else:
        rows = [(v["version"], v["state"], v["created"][:19], _shown(v["expires"])) for v in found]
        columns = ("version", "state", "since", "expires")
        output.table(columns, rows, numbers=("version",))


@keys.command(
    epilog=options.example(
        "dino keys rotate weather --generate",
        "dino keys rotate weather --test './try-key.sh' < new.txt",
    )
)
@_name
@click.option("--generate", is_flag=True, help="A fresh random value instead of one that is read.")
@click.option("--test", metavar="COMMAND", help="Gets the new value on its input; must exit 0.")
@options.as_json
@pass_workspace
def rotate(
    workspace: Workspace, name: str, generate: bool, test: str | None, as_json: bool
) -> None:
    """
    Replace a key; the old value is served until the new one has passed its test.

    A test that fails leaves everything as it was.  For a day `dino keys rollback` goes back.
    """
    from dino_os.security_gateway import SecurityGateway  # noqa: PLC0415

    gateway = open_vault(workspace)
    gateway.key_history(name)
    value = None if generate else _value(name)
    passed = SecurityGateway(workspace=workspace).rotate_key(
        name, value, test=_test(test, gateway.redactor) if test else None
    )
    if not passed:
        raise SecurityError(f"the new value of key {name!r} failed its test; the old one stays")
    output.answer(_facts(gateway, name), f"key {name!r} is rotated", as_json=as_json)


@keys.command(epilog=options.example("dino keys rollback weather"))
@_name
@options.as_json
@pass_workspace
def rollback(workspace: Workspace, name: str, as_json: bool) -> None:
    """Go back to the value before the present one, within a day of the change."""
    gateway = open_vault(workspace)
    version = gateway.rollback_key(name)
    done = f"key {name!r} is back at version {version}"
    output.answer(_facts(gateway, name), done, as_json=as_json)


@keys.command(epilog=options.example("dino keys delete weather"))
@_name
@options.as_json
@pass_workspace
def delete(workspace: Workspace, name: str, as_json: bool) -> None:
    """Forget a key and all its versions."""
    gateway = open_vault(workspace)
    gateway.key_history(name)
    gateway.delete_key(name)
    output.answer({"deleted": name}, f"key {name!r} is deleted", as_json=as_json)


@keys.command(epilog=options.example("dino keys lock passphrase", "dino keys lock file"))
@click.argument("kind", type=click.Choice(("keyring", "passphrase", "file")))
@options.as_json
@pass_workspace
def lock(workspace: Workspace, kind: str, as_json: bool) -> None:
    """
    Lock the vault with something else, or with a new passphrase; encrypts everything anew.

    $DINO_VAULT_PASSPHRASE opens it; the new passphrase is $DINO_VAULT_PASSPHRASE_NEW or asked for.
    """
    kind = open_vault(workspace).relock(kind)
    output.answer({"locked_by": kind}, f"the vault is locked by {_LOCKS[kind]}", as_json=as_json)


@keys.command(epilog=options.example("dino keys accept --yes"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
@pass_workspace
def accept(workspace: Workspace, yes: bool, as_json: bool) -> None:
    """
    Go on with the vault's file as it is, though it is not the one that was last written.

    For a backup that was put back, or a file that is lost.  If it was not you, do not.
    """
    if not yes and not (sys.stdin.isatty() and click.confirm("Go on with it?", err=True)):
        raise InvalidInput("nothing was changed", hint="--yes where nobody can be asked")
    facts = open_vault(workspace).accept()
    told = f"accepted: {output.counted(facts['keys'], 'key')}, generation {facts['generation']}"
    output.answer(facts, told, as_json=as_json)


# --- what the commands share ------------------------------------------------------------------


def _value(name: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(
            f"value of {name}", hide_input=True, confirmation_prompt=True, err=True
        )
        return asked
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"the value of key {name!r} is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _metadata(given: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [item.partition("=") for item in given]
    for name, divider, _ in pairs:
        if not (name and divider):
            raise InvalidInput(f"--meta {name}: expected NAME=VALUE")
    return {name: value for name, _, value in pairs} or None


def _test(command: str, redactor: Callable[[], Any]) -> Callable[[str], bool]:
    """What tries a new value with *command*; of what it prints no value is shown."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInput(f"--test {command!r}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise InvalidInput(f"--test {command!r}: no such program")
    kept = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}

    def passes(value: str) -> bool:
        done = subprocess.run(
            words,
            input=value.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=kept,
            timeout=_TEST_S,
            check=False,
        )
        said = redactor().redact_bytes(done.stdout).decode("utf-8", "replace")
        click.echo(output.printable(said), nl=False, err=True)
        return done.returncode == 0

    return passes


def _facts(gateway: Any, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = gateway.describe_keys()
    return next(facts for facts in found if facts["key"] == name)


def _shown(moment: str | None) -> str:
    return moment[:19] if moment else "never"


def _told(metadata: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in metadata.items())
