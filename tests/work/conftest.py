"""Skills and queues for the tests of work; the fixtures of the skills' tests."""

from __future__ import annotations

from tests.skills.conftest import write

__all__ = ["write"]
