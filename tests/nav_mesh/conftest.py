"""Gates on a clock that goes when it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nav_mesh.kit import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
