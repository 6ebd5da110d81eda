"""A workspace whose skills are offered, and the official client to ask for them."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from dino_os.commands import dino
from dino_os.mcp.offer import Offer
from dino_os.mcp.server import server_of
from dino_os.planning import cycle  # now: msgspec's types must not be collected later
from dino_os.planning.scenario import load_scenario
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino, Outcome
from tests.mcp.bundled import SCENARIO, furnish

R = TypeVar("R")
SERVER = REPOSITORY / "tests" / "mcp" / "programs" / "notes_server.py"


@pytest.fixture
def write(workspace: Path) -> Callable[[str], None]:
    """Write a file of skills; the mark is imported already."""

    def write(code: str) -> None:
        file = workspace / "skills" / "mine.py"
        file.write_text(f"from dino_os import skill\n{dedent(code)}")

    return write


@pytest.fixture
def site(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace, its keys within it, through the door of MCP."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    monkeypatch.setenv("DINO_DOOR", "mcp")
    site = Workspace(workspace)
    yield site
    if "sandbox" in vars(site):
        site.sandbox.close()


@pytest.fixture
def bundled(site: Workspace) -> Workspace:
    """A workspace with the shipped skills, granted what they ask for, and an example to plan."""
    shutil.copytree(REPOSITORY / "skills", site.root / "skills", dirs_exist_ok=True)
    furnish(site.root)
    cycle.run_cycle(site, load_scenario(site.root / SCENARIO["scenario"]))
    for skill in site.plugins.skills():
        if skill.permissions:
            site.admission.grant(skill, by="tester")
    return site


@pytest.fixture
def inside(
    site: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Dino:
    """`dino …` within this process, where what it calls can be another's."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def call(*args: str, code: int = 0) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            dino(["--home", str(site.root), *args], "dino")
        outcome = Outcome(int(left.value.code or 0), *capsys.readouterr())
        assert outcome.code == code, outcome
        return outcome

    return call


@contextlib.asynccontextmanager
async def client_of(site: Workspace, **offered: Any) -> AsyncIterator[Client]:
    """A client of the workspace's server, in this process."""
    names = {name: offered.pop(name, ()) for name in ("only", "allow")}
    server = server_of(site, Offer(site, **names), **offered)
    async with Client(server) as client:
        yield client


def asking(site: Workspace, ask: Callable[[Client], Awaitable[R]], **offered: Any) -> R:
    """What *ask* finds out as a client."""

    async def run() -> R | MCPError:
        async with client_of(site, **offered) as client:
            try:
                return await ask(client)
            except MCPError as refused:  # else it would come in a group
                return refused

    found = anyio.run(run)
    if isinstance(found, MCPError):
        raise found
    return found


def called(site: Workspace, tool: str, arguments: dict[str, Any], **offered: Any) -> Any:
    return asking(site, lambda client: client.call_tool(tool, arguments), **offered)


def events(site: Workspace, journal: str, kind: str) -> list[dict[str, Any]]:
    from engines.journal import RecordedJournal

    found = RecordedJournal(site.memory / f"{journal}.jsonl").events()
    return [dict(event) for event in found if event["event_type"] == kind]
