"""`dino metrics serve`: what Prometheus gets, and who gets nothing."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dino_os.errors import InvalidInput
from dino_os.metrics.endpoint import Options, application, serve
from dino_os.offline.guard import LOOPBACK, Guard
from dino_os.serving import listening, server_of
from dino_os.workspace import Workspace
from tests.conftest import Dino
from tests.metrics.desk import parsed, series
from tests.resource_engine.kit import until


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked.request(method, path, headers=headers)
    answer = asked.getresponse()
    text = answer.read().decode()
    if answer.status == 200:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    asked.close()
    return answer.status, text


@pytest.fixture
def port(home: Path) -> Iterator[int]:
    """A server that asks for a password."""
    Workspace(home).bus.publish("tide", 1)
    guarded = Guard(application(Workspace(home).metrics()), password="open", names=LOOPBACK)
    with listening("127.0.0.1", 0) as heard:
        server = server_of(guarded)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [heard]})
        thread.start()
        until(lambda: server.started, "a beginning")
        yield heard.getsockname()[1]
        server.should_exit = True
        thread.join(30)


def test_with_a_password_it_answers_whoever_has_it(port: int, home: Path) -> None:
    token = {"Authorization": "Bearer open"}
    assert ask(port)[0] == 401
    assert ask(port, Authorization="Bearer shut")[0] == 401
    assert ask(port, Host="evil.example", **token)[0] == 421
    assert ask(port, Origin="https://evil.example", **token)[0] == 403
    assert ask(port, "/", **token)[0] == 404
    assert ask(port, method="POST", **token)[0] == 405
    before = parsed(ask(port, **token)[1])
    Workspace(home).bus.publish("tide", 2)
    after = parsed(ask(port, **token)[1])
    name = series("dino_messages_total")
    assert (before[name], after[name]) == (1, 2)


def test_beyond_this_machine_there_is_a_password_or_nothing(home: Path) -> None:
    with pytest.raises(InvalidInput, match="more than this machine"):
        serve(Workspace(home).metrics(), Options("0.0.0.0", 0), lambda _: None)


def test_the_command_serves_until_it_is_interrupted(
    workspace: Path, dino: Dino, started: Callable[..., subprocess.Popen[str]]
) -> None:
    Workspace(workspace).bus.publish("tide", 1)
    process = started("metrics", "serve", "--port", "0", "--json")
    assert process.stdout is not None
    port = urlsplit(json.loads(process.stdout.readline())["url"]).port
    assert port
    status, text = ask(port)
    assert (status, parsed(text)[series("dino_messages_total")]) == (200, 1)
    assert ask(port, Host="evil.example")[0] == 421
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "--key" in dino("metrics", "serve", "--host", "0.0.0.0", "--port", "0", code=2).err
