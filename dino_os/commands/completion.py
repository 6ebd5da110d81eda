"""`dino completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from dino_os.commands import options
from dino_os.errors import InvalidInput

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=options.example(
        "dino completion bash >> ~/.bashrc",
        "dino completion zsh >> ~/.zshrc",
        "dino completion fish > ~/.config/fish/completions/dino.fish",
    )
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the shell completion script."""
    script = get_completion_class(shell)
    root = click.get_current_context().find_root()
    if script is None:
        raise InvalidInput(f"no completion for {shell!r}")
    name = root.info_name or "dino"
    click.echo(script(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
