"""`dino provenance escrow|reveal|forget`: what pseudonyms stand for, for whom it is kept."""

from __future__ import annotations

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace


@click.command(epilog=options.example("dino provenance escrow"))
@options.as_json
@pass_workspace
def escrow(workspace: Workspace, as_json: bool) -> None:
    """
    Make the key of the role that `provenance.redaction.escrow` names.

    From then on what pseudonyms stand for is sealed for that role; the private key is in the vault.
    """
    from dino_os.provenance.escrow import RoleEscrow  # noqa: PLC0415

    found = RoleEscrow(workspace)
    name = found.new_key()
    text = f"values are sealed for {found.role}; the vault's key {name} reveals them"
    output.answer({"role": found.role, "key": name}, text, as_json=as_json)


@click.command(epilog=options.example("dino provenance reveal '<email:k3vq7xw2mtn5ya4c>'"))
@click.argument("token")
@options.as_json
@pass_workspace
def reveal(workspace: Workspace, token: str, as_json: bool) -> None:
    """Show what TOKEN stands for; recorded, as each use of a key is."""
    from dino_os.provenance.escrow import RoleEscrow  # noqa: PLC0415

    value = RoleEscrow(workspace).reveal(token)
    output.answer({"token": token, "value": value}, value, as_json=as_json)


@click.command(epilog=options.example("dino provenance forget '<email:k3vq7xw2mtn5ya4c>'"))
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN …")
@options.as_json
@pass_workspace
def forget(workspace: Workspace, tokens: tuple[str, ...], as_json: bool) -> None:
    """Make sure that nobody learns any more what each TOKEN stands for."""
    from dino_os.provenance.escrow import RoleEscrow  # noqa: PLC0415

    count = RoleEscrow(workspace).escrow.forget(tokens)
    text = f"{output.counted(count, 'value')} forgotten"
    output.answer({"forgotten": count}, text, as_json=as_json)
