"""The same code on the embedded bus and on a cluster: who speaks is another process, or node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dino_os.workspace import Workspace
from tests.cluster.nodes import MakeNodes
from tests.cluster.servers import Server, needs_server, until
from tests.conftest import REPOSITORY, environment

SPEAKER = """
import json, sys, time
from pathlib import Path
from dino_os.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
bus = workspace.bus
workspace.carry()
bus.respond("double", lambda message: message * 2)
bus.respond("fail", lambda message: 1 / message)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    for message in asked["messages"]:
        bus.publish(asked["channel"], message, asked.get("id"), asked.get("headers"))
    print("said", flush=True)
"""


@dataclass
class Pair:
    """Where we listen, and a process that speaks there or on another node."""

    here: Workspace
    speaker: subprocess.Popen[str]

    def hears(self, channel: str, *messages: Any, **more: Any) -> None:
        assert self.speaker.stdin
        assert self.speaker.stdout
        self.speaker.stdin.write(
            json.dumps({"channel": channel, "messages": messages, **more}) + "\n"
        )
        self.speaker.stdin.flush()
        assert self.speaker.stdout.readline() == "said\n"


@pytest.fixture(params=["embedded", pytest.param("cluster", marks=needs_server)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "embedded":
        (tmp_path / "config.yaml").write_text("system:\n  name: one\n")
        here = there = tmp_path
    else:
        server: Server = request.getfixturevalue("server")
        make_nodes: MakeNodes = request.getfixturevalue("make_nodes")
        here, there = (n.home for n in make_nodes(server.url, "here", "there", carry=False))
    workspace = Workspace(here)
    speaker = subprocess.Popen(
        [sys.executable, "-c", SPEAKER, str(there)],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert speaker.stdout
    assert speaker.stdout.readline() == "ready\n"
    workspace.carry()
    if here != there:
        notes = here / "memory" / "bus.jsonl"
        until(lambda: notes.exists() and "stream_began" in notes.read_text(), "it does not join")
        other = there / "memory" / "bus.jsonl"
        until(lambda: "stream_began" in other.read_text(), "the other does not join")
    yield Pair(workspace, speaker)
    speaker.kill()
    speaker.communicate()
    workspace.bus.close()
    if workspace.carrying:
        workspace.carrying.stop()
    if workspace.cluster:
        workspace.cluster.link.close()


def test_a_subscriber_hears_all_in_their_order(pair: Pair) -> None:
    heard: list[Any] = []
    pair.here.bus.subscribe("orders.*.paid", heard.append)
    pair.hears("orders.1.open", "not this")
    for n in range(5):
        pair.hears(f"orders.{n % 2}.paid", *range(10 * n, 10 * n + 10))
    until(lambda: len(heard) >= 50, f"not all are heard: {heard}")
    assert heard == [*range(50)]


def test_a_message_is_as_it_was_said(pair: Pair) -> None:
    heard: list[Any] = []

    def take(message: Any, delivery: Any) -> None:
        heard.append((message, delivery.channel, delivery.id, delivery.headers))

    pair.here.bus.subscribe(">", take)
    value = {"text": "ä\u2028", "numbers": [1, -2.5, 1e300], "none": None, "deep": [[{}]]}
    pair.hears("a b..c%", value, id="first", headers={"Trace": "7"})
    until(lambda: heard, "it is not heard")
    assert heard == [(value, "a b..c%", "first", {"Trace": "7"})]


def test_a_durable_subscription_goes_on_where_it_was(pair: Pair) -> None:
    heard: list[Any] = []
    own = pair.here.bus.consume("news.>", heard.append, durable="reader")
    pair.hears("news.1", 1, 2)
    until(lambda: len(heard) == 2, "it is not heard")
    pair.here.bus.unsubscribe("news.>", own)
    pair.hears("news.2", 3, 4)
    pair.here.bus.consume("news.>", heard.append, durable="reader")
    until(lambda: len(heard) >= 4, "it does not go on")
    assert heard == [1, 2, 3, 4]


def test_what_fails_comes_again_until_it_is_given_up(pair: Pair) -> None:
    tried: list[Any] = []

    def take(message: Any) -> None:
        tried.append(message)
        if message == "bad" or tried.count(message) == 1:
            raise ValueError(message)

    pair.here.bus.consume("x", take, durable="d", retries=2, backoff_s=[0.01])
    pair.hears("x", "good", "bad")
    until(lambda: pair.here.bus.dead_letters("d"), "it is not given up")
    assert tried.count("good") == 2
    assert tried.count("bad") == 3
    (letter,) = pair.here.bus.dead_letters("d")
    assert letter["message"] == "bad"


def test_one_member_of_a_group_gets_each(pair: Pair) -> None:
    heard: list[Any] = []
    for _ in range(3):
        pair.here.bus.consume("work.*", heard.append, group="workers", durable="workers")
    time.sleep(0)
    pair.hears("work.1", *range(40))
    until(lambda: len(heard) >= 40, f"not all are handled: {heard}")
    assert sorted(heard) == [*range(40)]


def test_a_question_is_answered(pair: Pair) -> None:
    from dino_os.message_bus.requests import RequestFailed, RequestTimedOut

    ask: Callable[..., Any] = pair.here.bus.request
    assert ask("double", 21, 30.0) == 42
    with pytest.raises(RequestFailed, match="division by zero"):
        ask("fail", 0, 30.0)
    with pytest.raises(RequestTimedOut):
        ask("nobody", 0, 0.2)


def test_history_is_there(pair: Pair) -> None:
    pair.hears("x", 1, 2)
    until(lambda: len(pair.here.bus.channel_history("x")) == 2, "it does not come")
    assert [m["message"] for m in pair.here.bus.channel_history("x", 1)] == [2]
    assert "x" in pair.here.bus.list_channels()
