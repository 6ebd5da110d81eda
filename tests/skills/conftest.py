"""Skill files to test with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(workspace: Path) -> Write:
    """Write a file of skills into the workspace; the mark is imported already."""

    def write(code: str, name: str = "mine.py") -> Path:
        file = workspace / "skills" / name
        file.write_text(f"from dino_os import skill\n{dedent(code)}")
        return file

    return write
