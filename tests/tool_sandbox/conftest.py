"""A sandbox behind each set of walls that this machine has, and jobs for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dino_os.tool_sandbox import layers
from dino_os.tool_sandbox.policy import Limits, Policy, Walls
from dino_os.tool_sandbox.sandbox import Outcome, Sandbox

Run = Callable[..., Outcome]


def python(code: str) -> dict[str, Any]:
    """The job that runs *code*; its result is the value of the last line."""
    return {"kind": "python", "arguments": {"code": dedent(code)}}


def standing(name: str) -> Walls:
    """The machine's walls, with namespaces or without."""
    found = layers.possible()
    found = found if name == "namespaces" else replace(found, bubblewrap=None)
    if not found.enforce or (name == "namespaces" and not found.bubblewrap):
        pytest.skip(f"no sandbox can be made here of this kind: {layers.missing(found)}")
    return found


@pytest.fixture(params=["namespaces", "no-namespaces"])
def walls(request: pytest.FixtureRequest) -> Walls:
    return standing(request.param)


@pytest.fixture(scope="module", params=["namespaces", "no-namespaces"])
def shared(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One that keeps its keepers, for jobs that need nothing of their own."""
    with Sandbox(standing(request.param), warm=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of the shared sandbox."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture
def run(shared: Sandbox, desk: Path) -> Run:
    """Run Python in the shared sandbox: `run("6 * 7").result`; limits by their names."""

    def call(code: str, on_call: Any = None, on_output: Any = None, **limits: Any) -> Outcome:
        policy = Policy(desk, limits=Limits(**{"timeout_s": 30, **limits}))
        return shared.run(policy, python(code), on_call=on_call, on_output=on_output)

    return call
