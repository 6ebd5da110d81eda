"""Where requests go, and what of this machine goes with them: no further and no more than asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic_ai.messages import InstructionPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from dino_os.agent_core import AgentCore, transport
from dino_os.agent_core.context import OLLAMA_READS, ollama_reads
from dino_os.agent_core.messages import question
from dino_os.agent_core.providers import Provider
from dino_os.agent_core.transport import addresses_of, is_near
from dino_os.errors import Denied, ModelError, ModelUnavailable
from dino_os.tool_sandbox.egress.hosts import literal
from dino_os.workspace import Workspace
from tests.agent_core.desk import NOBODY, chain_of, desk, provider, said, stands_for
from tests.models.scripted import Dies, Raw, ScriptedServer, Status, Text

CANARY = "canary-7Hq2vTzR9wLk3NfX8sBd"
PUBLIC = "93.184.215.14"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("hello")) as running:
        yield running


def named(server: ScriptedServer, host: str) -> str:
    return f"http://{host}:{server.port}/v1"


# --- local only ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["option", "setting", "label"])
def test_a_name_that_stands_for_a_public_address_is_not_asked(
    workspace: Path, server: ScriptedServer, how: str
) -> None:
    here = desk(workspace, provider("far", named(server, "gpu.lan")), local_only=how == "setting")
    more: dict[str, Any] = {"option": {"local_only": True}, "label": {"labels": ["private"]}}
    chain = chain_of(here, resolve=stands_for(gpu_lan=PUBLIC), **more.get(how, {}))
    with pytest.raises(Denied, match="not on this machine or its network") as told:
        said(chain)
    assert told.value.exit_code == 3
    assert not here.agent_log.steps(chain.terms.run)  # not even reserved


@pytest.mark.parametrize("local_only", [False, True])
def test_a_name_that_changes_its_mind_is_still_not_dialled(
    workspace: Path, server: ScriptedServer, local_only: bool
) -> None:
    """Near when it was judged, by which it needs no price, and public when it is dialled."""
    answers = iter(["127.0.0.1", PUBLIC])

    def look_up(host: str, port: int, **_: Any) -> Any:
        return stands_for(**{host.replace(".", "_"): next(answers)})(host, port)

    here = desk(workspace, provider("sly", named(server, "gpu.lan")))
    with pytest.raises(Denied, match=r"gpu\.lan stands for 93\.184\.215\.14, a public address"):
        said(chain_of(here, resolve=look_up, local_only=local_only))
    assert not server.requests


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "0.0.0.0", "224.0.0.1"])
def test_what_is_nobody_s_server_is_never_asked(workspace: Path, address: str) -> None:
    here = desk(workspace, provider("odd", f"http://{address}/v1"))
    with pytest.raises(Denied):
        said(chain_of(here))


def test_a_near_name_is_asked(workspace: Path, server: ScriptedServer) -> None:
    here = desk(workspace, provider("near", named(server, "gpu.lan")))
    chain = chain_of(here, local_only=True, resolve=stands_for(gpu_lan="127.0.0.1"))
    assert said(chain) == "hello"


def test_offline_means_this_machine_alone(
    workspace: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINO_OFFLINE", "1")
    here = desk(workspace, provider("lan", "http://10.0.0.9/v1"), provider("here", server.url))
    assert said(chain_of(here)) == "hello"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    workspace: Path, server: ScriptedServer, status: int, streams: bool
) -> None:
    with ScriptedServer(always=Status(status, headers={"location": server.url})) as first:
        with pytest.raises(ModelError):
            said(chain_of(desk(workspace, provider("first", first.url))), streams=streams)
        assert len(first.requests) == 1
    assert not server.requests


def test_the_environment_s_proxies_keys_and_headers_are_not_used(
    workspace: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.root)
            monkeypatch.setenv(name.lower(), proxy.root)
        for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OLLAMA_API_KEY"):
            monkeypatch.setenv(name, CANARY)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"x-mine: {CANARY}")
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        for kind in ("openai", "ollama"):
            assert (
                said(chain_of(desk(workspace, provider("here", server.url, kind=kind)))) == "hello"
            )
        assert not proxy.requests
    assert CANARY.encode() not in server.sent
    names = {name for one in server.requests for name in one.headers}
    assert names == {
        *("host", "accept", "accept-encoding", "connection", "content-type", "content-length"),
        "user-agent",
    }


@pytest.mark.parametrize(
    ("found", "near"),
    [
        (["127.0.0.1"], True),
        (["10.1.2.3", "192.168.0.1", "fd00::1"], True),
        (["10.1.2.3", PUBLIC], False),
        (["169.254.169.254"], False),
        (["::ffff:93.184.215.14"], False),
        (["64:ff9b::5db8:d70e"], False),
        (["64:ff9b::7f00:1"], False),  # who translates it is nobody near
        (["2002:a00:1::"], False),
        (["::ffff:10.1.2.3"], True),
        ([], False),
    ],
)
def test_near_is_what_is_near_with_all_its_addresses(found: list[str], near: bool) -> None:
    assert is_near([a for text in found if (a := literal(text))]) is near


def test_a_name_that_hangs_is_not_waited_for_beyond_its_time() -> None:
    import threading

    left = threading.Event()

    def hangs(*_: Any, **__: Any) -> Any:
        left.wait(30)
        return []

    try:
        with pytest.raises(TimeoutError, match="not looked up in time"):
            asyncio.run(addresses_of("slow.lan", 80, 0.05, hangs))
    finally:
        left.set()


# --- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Text("tide " * 900), "its answer is longer than 0 MiB"),
        (Status(200, headers={"content-encoding": "gzip"}), "its answer is packed"),
    ],
)
def test_no_more_is_read_than_an_answer_may_have(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, why: str, streams: bool
) -> None:
    monkeypatch.setattr(transport, "MOST_BYTES", 4096)
    with ScriptedServer(answer) as server:
        with pytest.raises(ModelError, match=why):
            said(chain_of(desk(workspace, provider("vast", server.url))), streams=streams)
        assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("loaded", "shown"),
    [
        ([{"name": ["m"], "model": {}, "context_length": 9}], "num_ctx " + "9" * 5000),
        ([{"name": "m", "context_length": "many"}], ["num_ctx"]),
        ([{"name": "m", "context_length": -1}, 3, None], None),
        ({"name": "m"}, "temperature 1"),
    ],
)
def test_a_server_that_says_nonsense_of_itself_reads_the_usual(loaded: Any, shown: Any) -> None:
    one = Provider("o", "ollama", "http://127.0.0.1:9/v1", "m")
    told = {"/api/ps": {"models": loaded}, "/api/show": {"parameters": shown}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=told[request.url.path])

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    assert asyncio.run(ollama_reads(one, client)) == OLLAMA_READS


def test_a_server_that_does_not_say_how_much_it_reads_is_not_waited_for() -> None:
    one = Provider("o", "ollama", "http://127.0.0.1:9/v1", "m", timeout_s=0.05)

    async def answer(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(60)
        return httpx2.Response(200)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    assert asyncio.run(ollama_reads(one, client)) == OLLAMA_READS


# --- the key -------------------------------------------------------------------------------------


@pytest.fixture
def keyed(workspace: Path, server: ScriptedServer) -> Workspace:
    """A workspace whose provider has a key in the vault."""
    here = desk(workspace, provider("keyed", server.url, key="models"))
    here.security.set_key("models", CANARY)
    return here


def everything_in(folder: Path) -> bytes:
    return b"\n".join(
        path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "vault" not in str(path)
    )


def test_the_key_goes_to_the_provider_in_its_header_and_nowhere_else(
    keyed: Workspace, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Not into a body, a journal, an error or a log, whatever the provider says back."""
    caplog.set_level(logging.DEBUG)
    chain = chain_of(keyed)
    assert said(chain) == "hello"
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    told = []
    for answer in (
        Status(401, f"Incorrect API key provided: {CANARY}", code=CANARY),
        Status(400, CANARY, code=f"bad {CANARY}"),
        Raw(CANARY.encode()),
        Dies(0),
    ):
        server.say(answer)
        with pytest.raises(ModelError) as error:
            said(chain_of(keyed))
        told.append(f"{error.value} {error.value.hint} {error.value!r}")
    assert CANARY not in "".join(told)
    assert CANARY not in caplog.text
    assert CANARY.encode() not in b"".join(one.body for one in server.requests)
    assert CANARY.encode() not in everything_in(keyed.root)
    assert CANARY not in repr(chain.providers) + repr(chain.terms)


@pytest.mark.parametrize("streams", [False, True])
def test_a_prompt_with_a_secret_of_the_vault_does_not_leave(
    keyed: Workspace, server: ScriptedServer, streams: bool
) -> None:
    """The last look, behind whatever was to take it out before: here nothing was."""
    for prompt in (f"my key is {CANARY}", "line\n" + CANARY.encode().hex()):
        with pytest.raises(Denied, match="a secret is in what was about to be sent"):
            said(chain_of(keyed, screen=None), prompt, streams=streams)
    assert not server.requests
    assert CANARY.encode() not in everything_in(keyed.root)


def test_what_goes_beside_the_messages_is_screened_too(
    keyed: Workspace, server: ScriptedServer
) -> None:
    """Instructions, what tools and forms of answers are described by: a pseudonym stands there."""
    schema = {"type": "object", "properties": {"at": {"type": "string", "default": CANARY}}}
    tool = ToolDefinition(
        name="look", parameters_json_schema=schema, description=f"Look with {CANARY}."
    )
    about = InstructionPart(f"Your key is {CANARY}.")
    chain = chain_of(keyed)

    async def ask() -> None:
        params = ModelRequestParameters(
            function_tools=[tool],
            output_mode="tool",
            output_tools=[replace(tool, name="end", kind="output")],
            instruction_parts=[about],
        )
        await chain.request([question("hi")], None, params)

    asyncio.run(ask())
    body = server.requests[0].body
    assert CANARY.encode() not in body
    assert body.count(b"<secret:") == 5
    assert CANARY in (tool.description or "") + about.content  # these stay as they are


def test_a_key_that_is_given_to_the_face_stays_with_it(home: Path, server: ScriptedServer) -> None:
    core = AgentCore("mine", "m", api_key=CANARY, base_url=server.url)
    assert core.run("hi") == "hello"
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    with pytest.raises(Denied, match="the prompt holds the key"):
        core.run(f"is {CANARY} a good key?")
    assert CANARY not in repr(vars(core))
    assert CANARY.encode() not in everything_in(home)


def test_a_key_is_not_sent_in_clear_over_a_network(keyed: Workspace) -> None:
    here = desk(keyed.root, provider("far", "http://models.example/v1", key="models"))
    with pytest.raises(Denied, match="its key would be sent in clear"):
        said(chain_of(here, resolve=stands_for(models_example=PUBLIC)))


def test_a_key_that_is_not_there_is_told_and_the_next_is_asked(
    workspace: Path, server: ScriptedServer
) -> None:
    notes: list[str] = []
    keyless = provider("keyless", server.url, key="no-such")
    chain = chain_of(desk(workspace, keyless, provider("here", server.url)), note=notes.append)
    assert said(chain) == "hello"
    assert notes == ["keyless: no key 'no-such' in the vault"]


def test_a_name_that_nobody_knows_is_unreachable(workspace: Path) -> None:
    here = desk(workspace, provider("lost", "https://models.example/v1"), provider("d", NOBODY))
    with pytest.raises(ModelUnavailable, match=r"lost: models\.example was not found"):
        said(chain_of(here, resolve=stands_for()))
