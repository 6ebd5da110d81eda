"""What `dino init` puts into a new workspace: settings, example skills, a folder for the record."""

from __future__ import annotations

from pathlib import Path

from dino_os.errors import InvalidInput
from engines.durable import replace_file

_HERE = Path(__file__).parent


def furnish(folder: Path) -> list[Path]:
    """
    Make *folder* a workspace and return what was made, relative to it; what is there is kept.

    Raises:
        InvalidInput: Something in the way cannot be written.
    """
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in _files():
            target = folder / source.relative_to(_root())
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(target, source.read_bytes())
                made.append(target.relative_to(folder))
        if not (folder / "memory").is_dir():
            (folder / "memory").mkdir()
            made.append(Path("memory"))
    except OSError as error:
        raise InvalidInput(f"{error.filename or folder}: {error.strerror}") from None
    return made


def _root() -> Path:
    # Beside this file in an installed package; a checkout is itself the workspace they come from.
    return _HERE if (_HERE / "skills").is_dir() else _HERE.parent.parent


def _files() -> list[Path]:
    root = _root()
    return [root / "config.yaml", *sorted((root / "skills").glob("*.py"))]
