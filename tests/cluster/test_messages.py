"""Messages between nodes: all of them, once, in their order, whatever happens to the servers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from dino_os.cluster.carrying import Carrying
from dino_os.cluster.link import Client
from dino_os.cluster.nodes import Nodes
from dino_os.cluster.wire import Carried
from tests.cluster.nodes import MakeNodes, Node
from tests.cluster.proxy import Proxy
from tests.cluster.servers import HubAndLeaf, MakeServer, Server, Three, needs_server, until
from tests.conftest import REPOSITORY, environment
from tests.crash.strace import why_not

pytestmark = needs_server

CARRY = """
import sys, time
from pathlib import Path
from dino_os.workspace import Workspace
Workspace(Path(sys.argv[1])).carrying.start()
time.sleep(600)
"""


def carried_by_a_process(node: Node) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CARRY, str(node.home)], env=environment(PYTHONPATH=str(REPOSITORY))
    )


def stream_of(node: Node, what: str = "info") -> int:
    """How many messages the stream has."""
    from nats.js.errors import NotFoundError

    cluster = node.workspace.cluster
    assert cluster
    link = cluster.link

    async def look(client: Client) -> int:
        if what == "purge":
            await client.js.purge_stream(link.stream("BUS"))
        elif what == "delete":
            await client.js.delete_stream(link.stream("BUS"))
            return 0
        with contextlib.suppress(NotFoundError):  # not made yet
            return (await client.js.stream_info(link.stream("BUS"))).state.messages
        return 0

    try:
        return link.call(look, 30)
    finally:
        link.close()


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_slow_disk_holds_nobody_up_and_loses_nothing(
    make_nodes: MakeNodes, make_server: MakeServer
) -> None:
    """What is said is in the node's own journal; the server has it when it has it."""
    server = make_server("slow").start()
    north, south = make_nodes(server.url, "north", "south")
    north.say("level", "before")
    south.await_heard(["before"])
    south.say("level", "before")
    north.await_heard(["before"])
    with server.slowed(0.03):
        north.say("level", *range(40))
        south.say("level", "one")
        assert len(north.lines("message_published")) == 41
        south.await_heard(["before", *range(40)])
    north.await_heard(["before", "one"])
    north.say("level", "quick again")
    south.await_heard(["before", *range(40), "quick again"])


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


def test_what_is_said_while_another_joins_is_heard(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its origin's first: it was taken for one from before, between two answers of the servers."""
    north, south = make_nodes(server.url, "north", "south", carry=False)
    north.up()
    until(lambda: north.lines("stream_began"), f"it does not join: {north.error}")
    ask = Carrying._sent_before

    def slowly(carrying: Carrying, nodes: Nodes) -> dict[str, int]:
        if carrying is south.carrying and not north.lines("message_published"):
            north.say("level", "meanwhile")
            until(lambda: max(ask(carrying, nodes).values()) > 0, "it is not sent")
        return ask(carrying, nodes)

    monkeypatch.setattr(Carrying, "_sent_before", slowly)
    south.up()
    south.await_heard(["meanwhile"])
    north.say("level", "next")
    south.await_heard(["meanwhile", "next"])


def test_what_was_said_before_joining_stays(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", carry=False)
    north.say("before", 1)
    north.up()
    south.up()
    until(lambda: north.lines("node_joined"), "it does not join")
    north.say("after", 2)
    south.await_heard([2])


def test_only_what_is_shared_travels(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", share=["orders.*", "news.>"])
    until(lambda: north.lines("node_joined"), "it does not join")
    for channel in ("orders.1", "orders.1.secret", "own", "news.local.late"):
        north.say(channel, channel)
    south.await_heard(["orders.1", "news.local.late"])


def test_a_late_node_gets_what_the_servers_keep(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", carry=False)
    north.up()
    until(lambda: north.lines("node_joined"), "it does not join")
    north.say("x", *range(300))
    until(lambda: stream_of(north) == 300, "they are not sent")
    south.up().await_heard([*range(300)])


def test_what_is_said_without_servers_follows(
    make_server: MakeServer, make_nodes: MakeNodes
) -> None:
    late = make_server("late")
    north, south = make_nodes(late.url, "north", "south")
    until(lambda: "cannot reach the cluster" in north.error, "it does not say so")
    north.say("x", 1, 2, 3)
    late.start()
    south.await_heard([1, 2, 3])
    until(lambda: not north.error, "it does not say that it is well again")
    late.restart()
    north.say("x", 4)
    south.await_heard([1, 2, 3, 4])


def test_a_server_killed_in_the_middle_loses_and_doubles_nothing(
    make_server: MakeServer, make_nodes: MakeNodes
) -> None:
    mortal = make_server("mortal").start()
    north, south = make_nodes(mortal.url, "north", "south")
    until(lambda: north.lines("node_joined"), "it does not join")
    for burst in range(4):
        north.say("x", *range(100 * burst, 100 * burst + 100))
        mortal.restart()
    south.await_heard([*range(400)])


def test_a_server_that_lost_its_disk(make_nodes: MakeNodes, server: Server) -> None:
    """The stream is made anew, and what went with the old one comes from who said it."""
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1, 2)
    south.await_heard([1, 2])
    south.down()
    north.say("x", 3, 4)
    until(lambda: stream_of(north) == 4, "they are not sent")
    stream_of(north, "delete")
    north.say("x", 5)
    south.up().await_heard([1, 2, 3, 4, 5])


def test_a_node_killed_anywhere_loses_and_doubles_nothing(
    make_nodes: MakeNodes, server: Server
) -> None:
    """Both sides: who sends, and who receives."""
    rng = random.Random(8)
    north, south = make_nodes(server.url, "north", "south", carry=False)
    processes = [carried_by_a_process(node) for node in (north, south)]
    until(lambda: north.lines("node_joined"), "it does not join")
    try:
        for burst in range(5):
            north.say("x", *range(60 * burst, 60 * burst + 60))
            time.sleep(rng.random() / 5)
            for at, node in enumerate((north, south)):
                processes[at].send_signal(signal.SIGKILL)
                processes[at].wait()
                processes[at] = carried_by_a_process(node)
        south.await_heard([*range(300)])
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert not south.lines("messages_missed")


def test_a_note_that_is_lost_doubles_nothing(make_nodes: MakeNodes, server: Server) -> None:
    """The files beside the journal are notes: without them the journal itself says all."""
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1, 2)
    south.await_heard([1, 2])
    for node in (north, south):
        node.down()
        for note in (node.home / "memory" / "cluster").iterdir():
            note.unlink()
    north.up().say("x", 3)
    south.up().await_heard([1, 2, 3])


def test_notes_from_before_a_crash_double_nothing(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1)
    south.await_heard([1])
    for node in (north, south):
        node.down()
    notes = {
        note: note.read_bytes()
        for node in (north, south)
        for note in (node.home / "memory" / "cluster").iterdir()
    }
    north.up().say("x", 2, 3)
    south.up().await_heard([1, 2, 3])
    for node in (north, south):
        node.down()
    for note, text in notes.items():
        note.write_bytes(text)
    north.up().say("x", 4)
    south.up().await_heard([1, 2, 3, 4])


def test_away_for_long_with_the_streams_beginning_gone(
    make_nodes: MakeNodes, server: Server
) -> None:
    """What the servers kept no more comes from the journal of who said it."""
    north, south, west = make_nodes(server.url, "north", "south", "west")
    for node in (north, south, west):
        until(lambda node=node: node.lines("stream_began"), "it does not join")
    north.say("x", 1)
    south.await_heard([1])
    south.down()
    north.say("x", *range(2, 40))
    west.say("y", "quiet from here on")
    until(lambda: stream_of(north) == 40, "they are not sent")
    stream_of(north, "purge")
    north.say("x", 40)
    south.up()
    south.await_heard([*range(1, 41)], north)
    south.await_heard(["quiet from here on"], west)


def test_what_is_missed_of_a_node_that_is_away_comes_when_it_is_back(
    make_nodes: MakeNodes, server: Server
) -> None:
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1)
    south.await_heard([1])
    south.down()
    north.say("x", 2, 3)
    until(lambda: stream_of(north) == 3, "they are not sent")
    stream_of(north, "purge")
    north.say("x", 4)
    until(lambda: stream_of(north) == 1, "it is not sent")
    north.down()
    south.up().await_heard([1, 4])
    missed = south.lines("messages_missed")[0]
    sent = [e["seq"] for e in north.lines("message_published")]
    assert (missed["node"], missed["after"], missed["upto"]) == ("north", sent[0], sent[2])
    north.up()
    south.await_heard([1, 4, 2, 3])
    assert south.lines("messages_fetched")


def test_delivered_twice_is_recorded_once(make_nodes: MakeNodes, server: Server) -> None:
    """Beyond what servers know again: the same bytes under other ids."""
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1, 2)
    south.await_heard([1, 2])
    cluster = north.workspace.cluster
    assert cluster
    events = north.lines("message_published")

    async def again(client: Client) -> None:
        for event in [*events, *events]:
            subject = cluster.link.subject("evt", "x")
            await client.js.publish(subject, cluster.carried(event, None).encode())
        await client.js.publish(cluster.link.subject("evt", "x"), b"no message of a node")

    cluster.link.call(again, 30)
    cluster.link.close()
    north.say("x", 3)
    south.await_heard([1, 2, 3])


def test_one_that_overtook_another_waits_for_it(make_nodes: MakeNodes, server: Server) -> None:
    (south,) = make_nodes(server.url, "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    cluster = south.workspace.cluster
    assert cluster

    def said(seq: int, prev: int | None) -> bytes:
        return Carried("e" * 32, "east", seq, prev, 1e9, {"channel": "x", "message": seq}).encode()

    async def send(client: Client) -> None:
        for seq, prev in ((1, None), (5, 3), (3, 1), (7, 5)):
            await client.js.publish(cluster.link.subject("evt", "x"), said(seq, prev))

    cluster.link.call(send, 30)
    cluster.link.close()
    south.await_heard([1, 3, 5, 7])
    assert not south.lines("messages_missed")


def test_a_journal_that_does_not_take_it_for_a_moment_loses_nothing(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.errors import JournalWriteFailed
    from engines.journal import Journal

    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    commit, failures = Journal.commit, [1, 2, 3]

    def fail_at_first(self: Journal) -> None:
        if failures and any(b'"message_received"' in line for line in self._staged):
            failures.pop()
            raise JournalWriteFailed("no room")
        commit(self)

    monkeypatch.setattr(Journal, "commit", fail_at_first)
    north.say("x", *range(10))
    south.await_heard([*range(10)])
    assert not failures
    assert not south.lines("messages_missed") + south.lines("messages_fetched")


def test_a_full_stream_holds_messages_back_and_says_so(
    make_nodes: MakeNodes, server: Server
) -> None:
    north, south = make_nodes(server.url, "north", "south", keep_bytes=20_000)
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", *("." * 2000 + str(n) for n in range(12)))
    until(lambda: "is full" in north.error, "it does not say so")
    north.say("own", "local work goes on")
    stream_of(south, "purge")
    until(lambda: not north.error, "it does not go on")
    until(lambda: len(south.heard()) == 13, "they do not come")
    assert south.heard()[-1] == "local work goes on"
    assert [text.strip(".") for text in south.heard()[:12]] == [str(n) for n in range(12)]


def test_room_is_made_of_what_all_have(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", keep_bytes=40_000)
    until(lambda: south.lines("stream_began"), "it does not join")
    for burst in range(4):
        north.say("x", *("." * 3000 + str(10 * burst + n) for n in range(10)))
        count = 10 * (burst + 1)
        until(lambda count=count: len(south.heard()) == count, f"they do not come: {north.error}")
    assert [text.strip(".") for text in south.heard()] == [str(n) for n in range(40)]
    assert not south.lines("messages_missed")


def test_a_link_that_is_cut_without_a_word(make_nodes: MakeNodes, server: Server) -> None:
    """Both sides go on by themselves, and have all of each other when it is mended."""
    proxy = Proxy(server.port)
    try:
        north, south = make_nodes(server.url, "north", "south", carry=False)
        config = north.home / "config.yaml"
        config.write_text(config.read_text().replace(server.url, proxy.url))
        north = Node(north.home).up()
        south.up()
        try:
            until(
                lambda: north.lines("stream_began") and south.lines("stream_began"),
                "they do not join",
            )
            north.say("x", 1)
            south.await_heard([1])
            proxy.cut()
            north.say("x", 2, 3)
            south.say("y", "a", "b")
            until(lambda: north.error, "it does not notice")
            assert not south.error
            assert [m["message"] for m in north.workspace.bus.channel_history("x")] == [1, 2, 3]
            proxy.heal()
            south.await_heard([1, 2, 3])
            north.await_heard(["a", "b"])
        finally:
            north.down()
    finally:
        proxy.close()


def test_a_message_no_server_takes_is_told(make_server: MakeServer, make_nodes: MakeNodes) -> None:
    small = make_server("small", max_payload=8192).start()
    north, south = make_nodes(small.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    north.say("x", 1, "." * 20_000, 2)
    south.await_heard([1, 2])
    told = north.lines("message_not_carried")[0]
    assert told["message_seq"] == north.lines("message_published")[1]["seq"]
    assert told["bytes"] > told["limit"]


def test_a_clock_an_hour_ahead_changes_nothing(
    make_nodes: MakeNodes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: south.lines("stream_began"), "it does not join")
    now = time.time
    monkeypatch.setattr(north.workspace.bus._journal, "_clock", lambda: now() + 3600)
    north.say("x", 1)
    south.say("x", "a")
    monkeypatch.setattr(north.workspace.bus._journal, "_clock", lambda: now() - 3600)
    north.say("x", 2)
    south.await_heard([1, 2])
    north.await_heard(["a"])
    ahead, behind = south.lines("message_received")
    assert ahead["at"] > behind["at"] + 7000


@pytest.mark.filterwarnings(  # nats-py drops a connection of which it heard nothing in time
    "ignore:.*StreamWriter:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hung"])
def test_the_leader_fails(make_nodes: MakeNodes, three: Three, *, hangs: bool) -> None:
    """One that hangs keeps its connections, says nothing, and then goes on as if it still led."""
    import gc

    north, south = make_nodes(three.url, "north", "south")
    until(lambda: south.lines("stream_began"), f"it does not join: {south.error}")
    cluster = north.workspace.cluster
    assert cluster

    async def leader(client: Client) -> str:
        info = await client.js.stream_info(cluster.link.stream("BUS"))
        assert info.config.num_replicas == 3
        assert info.cluster
        return info.cluster.leader or ""

    name = ""
    while not name:
        name = cluster.link.call(leader, 30)
    server = three.named(name)
    north.say("x", *range(50))
    server.pause() if hangs else server.kill()
    try:
        north.say("x", *range(50, 100))
        south.say("x", "south")
        south.await_heard([*range(100)])
        north.await_heard(["south"])
    finally:
        server.resume() if hangs else server.start()
    north.say("x", 100)
    south.await_heard([*range(101)])
    cluster.link.close()
    gc.collect()


def test_a_leaf_that_is_cut_off_goes_on_and_catches_up(
    make_nodes: MakeNodes, leaf: HubAndLeaf
) -> None:
    edge, centre = make_nodes(leaf.leaf.url, "edge", "centre", carry=False, domain="hub")
    config = centre.home / "config.yaml"
    config.write_text(config.read_text().replace(leaf.leaf.url, leaf.hub.url))
    centre = Node(centre.home).up()
    edge.up()
    try:
        until(lambda: centre.lines("stream_began"), f"it does not join: {centre.error}")
        until(lambda: edge.lines("stream_began"), f"it does not join: {edge.error}")
        edge.say("x", 1)
        centre.await_heard([1])
        leaf.hub.kill()
        edge.say("x", 2, 3)
        assert [m["message"] for m in edge.workspace.bus.channel_history("x")] == [1, 2, 3]
        leaf.hub.start()
        centre.say("y", "back")
        centre.await_heard([1, 2, 3])
        edge.await_heard(["back"])
    finally:
        centre.down()


def test_two_processes_of_a_workspace_carry_once(make_nodes: MakeNodes, server: Server) -> None:
    """The second waits, and goes on when the first is killed."""
    north, south = make_nodes(server.url, "north", "south", carry=False)
    first = carried_by_a_process(north)
    try:
        until(lambda: north.lines("node_joined"), "it does not join")
        north.up()
        south.up()
        north.say("x", 1)
        south.await_heard([1])
        assert north.carrying
        assert not north.carrying.carries
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        north.say("x", 2)
        south.await_heard([1, 2])
        assert north.carrying.carries
    finally:
        first.kill()
        first.wait()


def test_a_question_is_answered_on_another_node(make_nodes: MakeNodes, server: Server) -> None:
    """Though only orders are shared, and the other's clock is wrong."""
    north, south = make_nodes(server.url, "north", "south", share=["orders.>"])
    until(lambda: south.lines("stream_began"), "it does not join")
    bus = south.workspace.bus
    bus.respond("orders.price", lambda message: message["weight"] * 2)
    try:
        for weight in range(3):
            asked = north.workspace.bus.request("orders.price", {"weight": weight}, 30.0)
            assert asked == weight * 2
    finally:
        bus.close()


def test_a_subscriber_hears_other_nodes(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", carry=False)
    heard: list[object] = []
    south.workspace.bus.subscribe("orders.*", heard.append)  # which carries too
    kept: list[object] = []
    south.workspace.bus.consume("orders.*", kept.append, durable="billing")
    try:
        until(lambda: south.lines("stream_began"), "it does not join")
        north.up()
        until(lambda: north.lines("node_joined"), "it does not join")
        north.say("orders.1", *range(20))
        until(lambda: len(heard) == 20 == len(kept), "it does not hear")
        assert heard == kept == [*range(20)]
    finally:
        south.workspace.bus.close()
        assert south.workspace.carrying
        south.workspace.carrying.stop()
        assert south.workspace.cluster
        south.workspace.cluster.link.close()
