"""`dino memory` with bytes for its standard input and output."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import REPOSITORY, command, environment


def piped(folder: Path, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command("memory", *words),
        input=data,
        cwd=folder,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        check=False,
    )
