"""One world and one sandbox of each setting, for all attacks of a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dino_os.tool_sandbox.sandbox import Sandbox
from tests.security.settings import walls
from tests.security.world import World

Behind = Callable[[str], Sandbox]


@pytest.fixture(scope="session")
def worth_attacking() -> Iterator[World]:
    made = World()
    os.environ["TEST_SECRET"] = made.canary
    yield made
    del os.environ["TEST_SECRET"]
    made.close()


@pytest.fixture(scope="session")
def _sandboxes() -> Iterator[dict[str, Sandbox]]:
    made: dict[str, Sandbox] = {}
    yield made
    for sandbox in made.values():
        sandbox.close()


@pytest.fixture
def world(
    worth_attacking: World, _sandboxes: dict[str, Sandbox], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """As it was before anybody attacked; what is open in this process may be inherited."""
    with ExitStack() as handed:
        for name in (".", "secret"):
            descriptor = os.open(worth_attacking.outside / name, os.O_RDONLY)
            os.set_inheritable(descriptor, True)
            handed.callback(os.close, descriptor)
        yield worth_attacking
    worth_attacking.was_struck()
    if worth_attacking.restore():  # keepers hold on to the folders that they were given
        for sandbox in _sandboxes.values():
            sandbox.close()


@pytest.fixture
def behind(_sandboxes: dict[str, Sandbox]) -> Behind:
    """The sandbox with the walls of a setting; skips, with the reason, where there are none."""

    def behind(setting: str) -> Sandbox:
        found = walls(setting)
        if isinstance(found, str):
            pytest.skip(found)
        if setting not in _sandboxes:
            _sandboxes[setting] = Sandbox(found, warm=True)
        return _sandboxes[setting]

    return behind
