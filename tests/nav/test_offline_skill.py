"""A skill that posts to a service keeps working, unchanged, while the cable is out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.workspace import Workspace
from engines.nav_mesh import Request
from tests.conftest import Dino
from tests.nav.service import Service, serving
from tests.tool_sandbox.wire import PATIENCE_S

SKILL = '''
from dino_os import skill


@skill(reaches=["{host}"], timeout="{patience}s")
def note(text: str) -> dict:
    """Tell the service."""
    import json
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    body = json.dumps({{"text": text}}).encode()
    try:
        with urlopen(Request("http://{host}/v1/notes", body)) as answer:
            return {{"status": answer.status, "said": answer.read().decode()}}
    except HTTPError as error:
        return {{"status": error.code, "said": error.read().decode()}}


@skill(reaches=["{host}"], timeout="{patience}s")
def look() -> dict:
    """Ask the service."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen("http://{host}/v1/notes") as answer:
            return {{"status": answer.status, "said": answer.read().decode()}}
    except HTTPError as error:
        return {{"status": error.code, "said": error.read().decode()}}


@skill(reaches=["{host}"], timeout="{patience}s")
def tunnel() -> str:
    """Ask for a way through."""
    import os
    import socket
    from urllib.parse import urlsplit

    proxy = urlsplit(os.environ["http_proxy"])
    with socket.create_connection((proxy.hostname, proxy.port)) as way:
        way.sendall(b"CONNECT {host} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n")
        return way.recv(1000).decode().split("\\r\\n")[0]
'''


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as made:
        yield made


@pytest.fixture
def keys(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the vault's key goes: not to whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    return {"XDG_CONFIG_HOME": str(workspace / "xdg")}


def settle(workspace: Path, service: Service, **more: Any) -> None:
    """A skill, and a domain whose route leads to *service*."""
    host = f"127.0.0.1:{service.port}"
    code = SKILL.format(host=host, patience=PATIENCE_S)
    (workspace / "skills" / "notes.py").write_text(code)
    domain = {"primary": service.url, "attempt_s": 5, **more}
    form = {"nav": {"domains": {"info": domain}}}
    (workspace / "config.yaml").write_text(json.dumps(form))


def test_a_skill_goes_on_while_the_cable_is_out_and_all_arrives_once(
    dino: Dino, workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """From the terminal: three notes, one of them offline, and each arrives exactly once."""
    settle(workspace, service)
    dino("grant", "note")
    run = ["run", "note", "--json", "--text"]
    assert dino(*run, "low tide", env=keys).json["result"] == {"status": 201, "said": "ok"}
    service.cut()
    offline = dino(*run, "high tide", env=keys).json["result"]
    receipt = json.loads(offline["said"])
    assert (offline["status"], receipt["domain"], receipt["held"]) == (202, "info", False)
    dino("scheduler", "tick", env=keys)  # to no avail
    assert len(service.taken) == 1
    service.connect()
    assert dino(*run, "spring tide", env=keys).json["result"]["status"] == 201
    requests = Workspace(workspace).offline_queue
    due = requests.find(receipt["queued"]).due
    assert due > requests.find(receipt["queued"]).queued_at
    requests.release  # noqa: B018
    late = Workspace(workspace)
    late.offline_queue._clock = lambda: due
    assert replay_at(late, due) == {"delivered": 1, "later": 0, "held": 0, "dead": 0}
    dino("scheduler", "tick", env=keys)
    texts = [json.loads(body)["text"] for _, _, _, body in service.heard]
    assert texts == ["low tide", "spring tide", "high tide"]
    assert receipt["idempotency_key"] in service.taken
    assert dino("nav", "routes", "--json", env=keys).json["routes"][0]["circuit"] == "closed"


def replay_at(workspace: Workspace, now: float) -> dict[str, int]:
    from dino_os.nav.replay import Replayer

    return (
        Replayer(workspace.nav, workspace.offline_queue, owner="test", clock=lambda: now)
        .run()
        .as_dict()
    )


def run(workspace: Path, skill: str, **params: Any) -> Any:
    here = Workspace(workspace)
    found = here.runner.run(here.plugins.skills().named(skill), params)
    assert found.outcome == "ok", found
    return found.result


def test_what_the_gate_says_reaches_the_skill(
    dino: Dino, workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """Who is not admitted has 403 and the reason; a question has 503 while the cable is out."""
    settle(workspace, service, subjects=["skill:look", "skill:tunnel"])
    for skill in ("note", "look", "tunnel"):
        dino("grant", skill)
    told = dino("run", "note", "--json", "--text", "x", env=keys).json["result"]
    assert told["status"] == 403
    assert "'skill:note' is not admitted to 'info'" in told["said"]
    assert service.heard == []
    assert dino("run", "look", "--json", env=keys).json["result"]["status"] == 201
    tunnel = dino("run", "tunnel", "--json", env=keys).json["result"]
    assert tunnel == "HTTP/1.1 200 Connection established"
    service.cut()
    told = dino("run", "look", "--json", env=keys).json["result"]
    assert (told["status"], told["said"].startswith("dino: Service Unavailable: offline: ")) == (
        503,
        True,
    )
    tunnel = dino("run", "tunnel", "--json", env=keys).json["result"]
    assert tunnel.startswith("HTTP/1.1 503 Service Unavailable: offline: ")
    decided = dino("gate", "stats", "--json", env=keys, code=None)
    del decided
    log = (workspace / "memory" / "gate_log.jsonl").read_text()
    assert log.count('"event_type":"gate_allowed"') == 4
    assert "skill:note" not in log


assert Request
