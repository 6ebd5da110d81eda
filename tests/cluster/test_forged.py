"""Whoever may write to the servers writes what he likes: what honest nodes say still comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dino_os.cluster import mirror
from dino_os.cluster.link import Client
from dino_os.cluster.wire import Carried
from tests.cluster.nodes import MakeNodes, Node
from tests.cluster.servers import Server, needs_server, until

GOOD: dict[str, Any] = {
    "workspace": "e" * 32,
    "node": "east",
    "seq": 5,
    "prev": None,
    "at": 1.0,
    "channel": "x",
    "message": "m",
}
BAD: list[dict[str, Any]] = [
    {"headers": "text"},
    {"headers": {"a": 1}},
    {"headers": ["a"]},
    {"at": "nan"},
    {"at": "1.0"},
    {"at": 1e300},
    {"at": True},
    {"message": json.loads("[" * 300 + "]" * 300)},
    {"workspace": "e v", "prev": 3},
    {"workspace": ""},
    {"workspace": ">"},
    {"workspace": "e\r\nPUB x 2\r\nhi\r\n"},
    {"workspace": "e" * 65},
    {"node": "n" * 1000},
    {"node": None},
    {"seq": 10**30},
    {"seq": 2**53 + 1},
    {"seq": 5.0},
    {"seq": "5"},
    {"seq": True},
    {"seq": -1},
    {"prev": 5},
    {"prev": 9},
    {"prev": -1},
    {"prev": 1.5},
    {"channel": "a\x00b"},
    {"channel": "a.*"},
    {"channel": None},
    {"reply_to": 5},
]


def put(node: Node, *bodies: dict[str, Any] | bytes, channel: str = "x") -> None:
    """Into the stream, as anybody can who has its credentials."""
    cluster = node.workspace.cluster
    assert cluster

    async def send(client: Client) -> None:
        for body in bodies:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            await client.js.publish(cluster.link.subject("evt", channel), data)

    cluster.link.call(send, 30)
    cluster.link.close()


@pytest.mark.parametrize("change", BAD, ids=lambda change: str(change)[:40])
def test_what_is_none_is_no_message(change: dict[str, Any]) -> None:
    Carried.decode(json.dumps(GOOD).encode())
    with pytest.raises(ValueError):
        Carried.decode(json.dumps({**GOOD, **change}).encode())


@needs_server
def test_what_is_no_message_holds_nothing_up(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    put(north, b"", b"[]", b"\xff", b"1e400", *({**GOOD, **change} for change in BAD))
    north.say("x", 1, 2)
    south.await_heard([1, 2])
    assert len(south.lines("message_refused")) == len(BAD) + 4
    assert not south.error


@needs_server
def test_what_the_journal_does_not_take_is_passed_over(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should something be let through that it does not take."""
    from engines.errors import InvalidInput
    from engines.journal import Journal

    stage = Journal.stage

    def strict(self: Journal, event_type: str, payload: Any) -> Any:
        if event_type == "message_received" and payload["message"] == "bad":
            raise InvalidInput("not this one")
        return stage(self, event_type, payload)

    monkeypatch.setattr(Journal, "stage", strict)
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    put(north, {**GOOD, "message": "bad"}, {**GOOD, "seq": 6, "prev": None, "message": "good"})
    north.say("x", 1, 2)
    until(lambda: len(south.heard()) == 3, "it does not go on")
    assert south.heard() == ["good", 1, 2]
    assert [line["why"] for line in south.lines("message_refused")] == ["not this one"]


@needs_server
def test_a_number_that_its_origin_never_reached_silences_nobody(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_PROOF_S", 1.0)
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1)
    south.await_heard([1])
    (first,) = south.lines("message_received")
    forged = {**GOOD, "workspace": first["workspace"], "node": "north"}
    put(
        south,
        {**forged, "seq": 2**53},
        {**forged, "seq": 2**52, "prev": first["node_seq"]},
        {**forged, "seq": 2**51, "prev": 2**50},
    )
    north.say("x", 2, 3)
    south.await_heard([1, 2, 3])
    until(lambda: len(south.lines("message_refused")) == 3, "they are not refused")
    north.say("x", 4)
    south.await_heard([1, 2, 3, 4])
    assert not south.lines("messages_missed")


@needs_server
def test_one_far_ahead_is_taken_once_its_origin_is_known_to_be_there(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_ROOM", 0)
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", *range(20))
    south.await_heard([*range(20)])
    assert not south.lines("message_refused")
