"""The front door of a checkout: `python cli.py …` is `dino …`."""

from dino_os.commands import dino

if __name__ == "__main__":
    dino(prog_name="dino")
