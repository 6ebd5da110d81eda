"""A skill that posts to a service keeps working, unchanged, while the cable is out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dino_os.nav.replay import Replayer
from dino_os.workspace import Workspace
from engines.nav_mesh import Request
from tests.conftest import REPOSITORY, Dino, environment
from tests.nav.service import Service
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


def settled(workspace: Path, service: Service, **more: Any) -> Workspace:
    """A workspace with the skills, and a domain whose route leads to *service*."""
    host = f"127.0.0.1:{service.port}"
    code = SKILL.format(host=host, patience=PATIENCE_S)
    (workspace / "skills" / "notes.py").write_text(code)
    form = {
        "nav": {"domains": {"info": {"primary": service.url, "attempt_s": 5, **more}}},
        "sandbox": {"grants": {name: {"reaches": [host]} for name in ("note", "look", "tunnel")}},
    }
    (workspace / "config.yaml").write_text(json.dumps(form))
    return Workspace(workspace)


def run(workspace: Workspace, skill: str, **params: Any) -> Any:
    found = workspace.runner.run(workspace.plugins.skills().find(skill), params)
    assert found.outcome == "ok", found
    return found.result


def test_a_skill_goes_on_while_the_cable_is_out_and_all_arrives_once(
    dino: Dino, workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """Three notes, one of them offline, and each arrives exactly once."""
    here = settled(workspace, service)
    assert run(here, "note", text="low tide") == {"status": 201, "said": "ok"}
    service.cut()
    offline = dino("run", "note", "--json", "--text", "high tide", env=keys).json["result"]
    receipt = json.loads(offline["said"])
    assert (offline["status"], receipt["domain"], receipt["held"]) == (202, "info", False)
    assert here.nav.get_status()["routes"]["info"][0]["taken"] is False
    service.connect()
    # What is written to one place goes behind what waits for it.
    assert run(here, "note", text="spring tide")["status"] == 202
    dino("scheduler", "tick", env=keys)
    texts = [json.loads(body)["text"] for _, _, _, body in service.heard]
    assert texts == ["low tide", "high tide", "spring tide"]
    assert service.taken[receipt["idempotency_key"]] == b'{"text": "high tide"}'
    assert here.requests.find(receipt["queued"]).state == "sent"
    assert here.requests.status()["queued"] == 0


def test_what_the_gate_says_reaches_the_skill(
    workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """Who is not admitted has 403 and the reason; a question has 503 while the cable is out."""
    here = settled(workspace, service, subjects=["skill:look", "skill:tunnel"])
    told = run(here, "note", text="x")
    assert told["status"] == 403
    assert "'skill:note' is not admitted to 'info'" in told["said"]
    assert service.heard == []
    assert run(here, "look")["status"] == 201
    assert run(here, "tunnel") == "HTTP/1.1 200 Connection established"
    service.cut()
    told = run(here, "look")
    assert told["status"] == 503
    assert told["said"].startswith("dino: Service Unavailable: offline: primary: ")
    assert run(here, "tunnel").startswith("HTTP/1.1 503 Service Unavailable: offline: ")
    log = (workspace / "memory" / "gate_log.jsonl").read_text()
    assert log.count('"event_type":"gate_allowed"') == 4
    assert "skill:" not in log


def test_a_sender_that_is_killed_leaves_what_is_sent_again_under_its_key(
    workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """Killed while the service has the request and has not answered: heard twice, taken once."""
    here = settled(workspace, service, attempt_s=25)
    request = Request("POST", "/v1/notes", body=b"ebb", idempotency_key="k-1")
    receipt = here.requests.put("info", "ada", request, authorised=True)
    service.fault = lambda: "hang"
    program = "from dino_os.nav.duty import replay; replay()"
    env = environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(workspace), **keys)
    sender = subprocess.Popen([sys.executable, "-c", program], env=env)
    try:
        assert service.asked.wait(PATIENCE_S)
    finally:
        sender.kill()
        sender.wait()
    service.fault = lambda: ""
    late = here.nav.clock() + 3600
    assert here.requests.find(receipt.id).state == "claimed"
    replayer = Replayer(here.nav, here.requests, owner="next", clock=lambda: late)
    assert replayer.run().delivered == 1
    service.go_on.set()
    assert [key for _, _, key, _ in service.heard] == [receipt.idempotency_key] * 2
    assert service.taken == {receipt.idempotency_key: b"ebb"}
