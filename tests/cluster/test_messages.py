"""Messages between nodes: all of them, once, in their order, whatever happens to the servers."""

from __future__ import annotations

import pytest

from tests.cluster.nodes import MakeNodes
from tests.cluster.servers import Server, needs_server

pytestmark = needs_server


def test_what_one_says_the_others_have(make_nodes: MakeNodes, server: Server) -> None:
    north, south, west = make_nodes(server.url, "north", "south", "west")
    north.say("orders.1", {"paid": True}, "second")
    south.say("a channel. with %.", [1, 2.5, None, "ä"])
    north.await_heard([[1, 2.5, None, "ä"]])
    south.await_heard([{"paid": True}, "second"])
    west.await_heard([{"paid": True}, "second"], north)
    west.await_heard([[1, 2.5, None, "ä"]], south)
    first = south.lines("message_received")[0]
    assert first["channel"] == "orders.1"
    assert first["node"] == "north"
    assert first["at"] == north.lines("message_published")[0]["timestamp"]
    assert not north.heard("north")
