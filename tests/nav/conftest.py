"""`dino …` within this process, its keys' folder in the workspace."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.nav.desk import Desk
from tests.nav.service import Service, serving

Door = Callable[..., Outcome]


@pytest.fixture
def site(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose keys lie in `xdg` beside its memory."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    monkeypatch.setenv("USER", "tester")
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as made:
        yield made


@pytest.fixture
def keys(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the vault's key goes: not to whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    return {"XDG_CONFIG_HOME": str(workspace / "xdg")}


@pytest.fixture
def door(site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Door:
    """Run `dino …` with some standard input; as in a process of its own, but sooner."""
    from dino_os import commands

    # What hardens a process that holds secrets would harden this one for good.
    monkeypatch.setattr("dino_os.security_gateway.hardening.harden", lambda: None)

    def call(
        *args: object, given: str | bytes = b"", code: int | None = 0, name: str = "dino"
    ) -> Outcome:
        given = given.encode() if isinstance(given, str) else given
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            getattr(commands, name)([str(arg) for arg in args], name)
        gc.collect()
        outcome = Outcome(int(left.value.code or 0), *capsys.readouterr())
        assert code is None or outcome.code == code, outcome
        return outcome

    return call


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()
