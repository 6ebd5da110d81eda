"""Real requests to scripted servers, also where another module's tests have forbidden any."""

from __future__ import annotations

import pydantic_ai.models
import pytest

from engines import passphrase


@pytest.fixture(autouse=True)
def _requests_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydantic_ai.models, "ALLOW_MODEL_REQUESTS", True)


@pytest.fixture(autouse=True)
def _vaults_cost_nothing_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))
