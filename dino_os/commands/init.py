"""`dino init`."""

from __future__ import annotations

from pathlib import Path

import click

from dino_os.commands import options, output


@click.command(epilog=options.example("dino init station-7", "cd station-7 && dino run hello"))
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@options.as_json
def init(folder: Path, as_json: bool) -> None:
    """
    Make a workspace in FOLDER (here, where none is given): settings, example skills, memory.

    What is there already is kept as it is.
    """
    from dino_os.templates import furnish  # noqa: PLC0415

    made = furnish(folder)
    if as_json:
        output.emit_json({"workspace": str(folder.resolve()), "made": [str(path) for path in made]})
    elif made:
        output.say(f"workspace {folder.resolve()}")
        for path in made:
            output.say(f"  {path}")
        output.say("next: `dino list` shows its skills, `dino run hello` runs one")
    else:
        output.say(f"{folder.resolve()} is a workspace already; nothing was changed")
