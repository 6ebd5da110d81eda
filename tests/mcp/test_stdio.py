"""Over standard input and output: the official client, and nothing else on the wire."""

from __future__ import annotations

import errno
import json

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from dino_os.mcp import sdk
from dino_os.mcp.offer import Offer
from dino_os.mcp.serving import serve_stdio
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.mcp.bundled import list_and_call
from tests.mcp.test_http import INITIALIZE


def test_the_official_client_lists_and_calls_every_bundled_skill(bundled: Workspace) -> None:
    """And sees nothing that is not the protocol's."""
    odd: list[object] = []

    async def hear(message: object) -> None:
        odd.extend([message] if isinstance(message, Exception) else [])

    async def run() -> None:
        program, *arguments = command("--home", bundled.root, "mcp", "serve")
        variables = environment(PYTHONPATH=str(REPOSITORY), XDG_CONFIG_HOME=f"{bundled.root}/xdg")
        server = StdioServerParameters(command=program, args=arguments, env=variables)
        async with Client(server, message_handler=hear, mode="legacy") as client:
            await list_and_call(client)

    anyio.run(run)
    assert odd == []


def test_what_else_is_said_goes_to_standard_error(dino: Dino, site: Workspace) -> None:
    """A line that was never acknowledged is told of there; and the client's leaving is no error."""
    journal = site.own_journal("security_log")
    journal.append("noted")
    with journal.path.open("ab") as torn:
        torn.write(b'{"seq":')
    (site.root / "skills" / "mine.py").write_text(
        "from dino_os import skill\n@skill(writes=['out'])\ndef note() -> None: ...\n"
    )
    # Whether `note` is granted is looked up in that journal.
    asked = [INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    lines = "".join(
        f"{json.dumps(one)}\n"
        for one in [*asked, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    )
    found = dino("mcp", "serve", given=lines.encode())
    answers = [json.loads(line) for line in found.out.splitlines()]
    assert answers[0]["result"]["serverInfo"]["name"] == "dino"
    assert all(one["jsonrpc"] == "2.0" for one in answers)
    assert "no skill is offered in" in found.err


def test_a_client_that_was_killed_is_no_fault_of_ours(
    site: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pipe is broken, which a command ends with quietly."""

    def broken(_serve: object) -> None:
        raise ExceptionGroup("", [ExceptionGroup("", [BrokenPipeError(errno.EPIPE, "")])])

    monkeypatch.setattr("anyio.run", broken)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(BrokenPipeError):
        serve_stdio(site, Offer(site), with_resources=False)


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is unavailable."""
    monkeypatch.setattr(sdk, "find_spec", lambda _name: None)
    with pytest.raises(sdk.SdkMissing) as missing:
        sdk.check_sdk()
    assert missing.value.exit_code == 4
    assert missing.value.hint == "pip install 'dino-os[mcp]'"
