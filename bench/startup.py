"""
Start-up: `dino` beside a Typer hello-world on the same interpreter.

    python bench/startup.py
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from side_by_side import in_turns, run, verdict

ROUNDS = 31
HELLO = """
import typer

app = typer.Typer()


@app.command()
def main(name: str = "world") -> None:
    print(f"Hello, {name}")


app()
"""


def main() -> None:
    home = Path(__file__).resolve().parent.parent
    dino = [sys.executable, str(home / "cli.py")]
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO)
        run([*dino, "init", f"{folder}/workspace"])
        seconds = in_turns(
            {
                "typer": lambda: run([sys.executable, str(hello)]),
                "version": lambda: run([*dino, "version"]),
                "--help": lambda: run([*dino, "--help"]),
                "run hello": lambda: run([*dino, "--home", f"{folder}/workspace", "run", "hello"]),
            },
            ROUNDS,
        )
    base = seconds.pop("typer")
    print(f"typer {version('typer')} hello-world   {base * 1000:6.0f} ms")
    for (name, taken), limit in zip(seconds.items(), (1.3, 1.3, 2.5), strict=True):
        ratio = taken / base
        print(
            f"dino {name:<10}  {taken * 1000:6.0f} ms   {ratio:.2f} x   "
            f"{verdict(ratio, limit, at_least=False)}"
        )


if __name__ == "__main__":
    main()
