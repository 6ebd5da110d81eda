"""Queue groups over nodes: each message to one member of all nodes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.cluster import mirror
from dino_os.cluster.cluster import Cluster
from dino_os.cluster.groups import ClusterClaims
from dino_os.cluster.link import Client
from tests.cluster.nodes import MakeNodes, Node
from tests.cluster.servers import Server, needs_server, until
from tests.cluster.test_forged import put
from tests.conftest import REPOSITORY, environment

pytestmark = needs_server

WORKER = """
import sys, time
from pathlib import Path
from dino_os.workspace import Workspace
home = Path(sys.argv[1])
def work(message):
    with (home / "handled").open("a") as file:
        file.write(f"{message}\\n")
    time.sleep(0.01)
Workspace(home).bus.consume("jobs.>", work, durable="workers", group="workers", ack_wait_s=3.0)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def group(make_nodes: MakeNodes, server: Server) -> Iterator[tuple[Node, Node]]:
    north, south = make_nodes(server.url, "north", "south")
    for node in (north, south):
        until(lambda node=node: node.lines("stream_began"), f"it does not join: {node.error}")
    yield north, south
    for node in (north, south):
        node.workspace.bus.close()
        if node.workspace.carrying:
            node.workspace.carrying.stop()
        assert node.workspace.cluster
        node.workspace.cluster.link.close()


def joined(node: Node, callback: Callable[[object], object], **more: object) -> None:
    node.workspace.bus.consume("jobs.>", callback, group="workers", **more)


def has_consumer(node: Node) -> bool:
    from nats.js.errors import NotFoundError

    cluster = node.workspace.cluster
    assert cluster
    name = cluster.link.stream("BUS")
    try:
        info = cluster.link.call(lambda client: client.js.consumers_info(name), 30)
    except NotFoundError:
        return False
    return any((one.name or "").startswith("G") for one in info)


def test_what_comes_while_it_is_forgotten_goes_to_another(
    group: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    north, south = group
    heard: list[tuple[str, object]] = []
    pulled = ClusterClaims._pull

    async def forgotten(self: ClusterClaims, client: Client, *how: Any) -> list[Any]:
        found = await pulled(self, client, *how)
        if found and self._cluster is north.workspace.cluster:
            assert north.workspace.bus.forget("workers")
        return found

    monkeypatch.setattr(ClusterClaims, "_pull", forgotten)
    joined(north, lambda message: heard.append(("north", message)), durable="workers")
    until(lambda: has_consumer(north), "there is no consumer")
    north.say("jobs.1", 1)
    until(lambda: not north.workspace.bus.subscriptions(), "nothing was pulled")
    joined(south, lambda message: heard.append(("south", message)), durable="workers")
    until(lambda: heard, "nobody has it")
    assert heard == [("south", 1)]


def test_each_message_goes_to_one_member_of_all_nodes(group: tuple[Node, Node]) -> None:
    north, south = group
    heard: dict[str, list[object]] = {"north": [], "south": []}
    for node in group:
        # As slow as work is: else one may have had all before the other looks.
        joined(node, lambda message, own=heard[node.name]: (time.sleep(0.005), own.append(message)))
    until(lambda: has_consumer(north), "there is no consumer")
    for n in range(60):
        (north if n % 2 else south).say(f"jobs.{n}", n)
    until(lambda: len(heard["north"]) + len(heard["south"]) >= 60, f"not all are handled: {heard}")
    assert sorted(heard["north"] + heard["south"], key=int) == [*range(60)]
    assert heard["north"]
    assert heard["south"]


def test_one_that_is_killed_gives_back_what_it_had(make_nodes: MakeNodes, server: Server) -> None:
    nodes = make_nodes(server.url, "north", "south", carry=False)
    workers = []
    for node in nodes:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(node.home)],
            env=environment(PYTHONPATH=str(REPOSITORY)),
            stdout=subprocess.PIPE,
        )
        assert worker.stdout
        assert worker.stdout.readline() == b"ready\n"
        workers.append(worker)
    try:
        north, south = nodes
        until(
            lambda: north.lines("stream_began") and south.lines("stream_began"), "they do not join"
        )
        north.say("jobs.x", *range(200))
        until(lambda: len(handled(south.home)) > 5, "it does not begin")
        workers[1].kill()
        until(
            lambda: set(handled(north.home)) | set(handled(south.home)) == {*range(200)},
            "what the killed one had is not handled",
        )
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    twice = len(handled(north.home)) + len(handled(south.home)) - 200
    assert 0 <= twice <= 256  # what it had, at most


def handled(home: Path) -> list[int]:
    file = home / "handled"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_acknowledgements_that_a_server_forgot(make_nodes: MakeNodes, tmp_path: Path) -> None:
    """What comes again after a crash of the servers is known, and not handled again."""
    mortal = Server(tmp_path / "mortal").start()
    (north,) = make_nodes(mortal.url, "north", carry=False)
    heard: list[object] = []
    bus = north.workspace.bus
    try:
        bus.consume("jobs.>", heard.append, durable="workers", group="workers", ack_wait_s=2.0)
        until(lambda: has_consumer(north), "there is no consumer")
        north.say("jobs.x", *range(100))
        until(lambda: len(heard) == 100, "they are not handled")
        mortal.restart()
        north.say("jobs.x", "behind it")
        until(lambda: "behind it" in heard, "it does not go on")
        time.sleep(2.5)  # as long as a forgotten one takes to come again
        assert heard == [*range(100), "behind it"]
    finally:
        bus.close()
        assert north.workspace.carrying
        north.workspace.carrying.stop()
        assert north.workspace.cluster
        north.workspace.cluster.link.close()
        mortal.kill()


def test_a_consumer_that_is_gone_is_made_anew(make_nodes: MakeNodes, server: Server) -> None:
    (north,) = make_nodes(server.url, "north", carry=False)
    heard: list[object] = []
    bus, cluster = north.workspace.bus, north.workspace.cluster
    assert cluster
    try:
        bus.consume("jobs.>", heard.append, durable="workers", group="workers")
        until(lambda: has_consumer(north), "there is no consumer")
        north.say("jobs.x", "before")
        until(lambda: "before" in heard, "it is not handled")
        time.sleep(0.5)  # until that is acknowledged, and the next pull begun
        inboxes = len(cluster.link.call(subscribed))

        async def delete(client: Client) -> None:
            stream = cluster.link.stream("BUS")
            for one in await client.js.consumers_info(stream):
                await client.js.delete_consumer(stream, one.name)

        for number in range(2):
            cluster.link.call(delete)
            north.say("jobs.x", f"behind it {number}")
            until(lambda n=number: f"behind it {n}" in heard, "it does not go on")
        until(lambda: len(cluster.link.call(subscribed)) <= inboxes, "it leaves inboxes behind")
    finally:
        bus.close()
        assert north.workspace.carrying
        north.workspace.carrying.stop()
        cluster.link.close()


async def subscribed(client: Client) -> list[object]:
    """What this connection listens to."""
    return [*client.nc._subs]


def test_what_is_not_shared_is_the_nodes_own(make_nodes: MakeNodes, server: Server) -> None:
    north, south = make_nodes(server.url, "north", "south", share=["jobs.shared"])
    heard: list[tuple[str, object]] = []
    try:
        for node in (north, south):
            joined(node, lambda message, name=node.name: heard.append((name, message)))
        until(lambda: has_consumer(north), "there is no consumer")
        north.say("jobs.own", 1)
        until(lambda: ("north", 1) in heard, f"it is not handled: {heard}")
        south.say("jobs.shared", 2)
        until(lambda: any(m == 2 for _, m in heard), f"it is not handled: {heard}")
        assert len(heard) == 2
    finally:
        for node in (north, south):
            node.workspace.bus.close()
            if node.workspace.carrying:
                node.workspace.carrying.stop()
            assert node.workspace.cluster
            node.workspace.cluster.link.close()


def test_what_the_journal_drops_no_group_holds(
    group: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused, of an old line, of one not reached yet, and what we never said ourselves."""
    monkeypatch.setattr(mirror, "_PROOF_S", 0.5)
    north, south = group
    heard: list[object] = []
    joined(south, heard.append, ack_wait_s=2.0)
    until(lambda: has_consumer(south), "there is no consumer")
    north.say("jobs.1", 1, 2)
    until(lambda: sorted(heard, key=str) == [1, 2], "they are not handled")
    first = south.lines("message_received")[0]
    forged = {"node": "north", "prev": None, "at": 1.0, "channel": "jobs.1", "message": "forged"}
    own = south.workspace.cluster
    assert own
    for workspace, seq in (
        ("no name", 1),
        (first["workspace"], 0),
        (first["workspace"], 2**53),
        (own.workspace, 0),
        (own.workspace, 2**40),
    ):
        put(south, {**forged, "workspace": workspace, "seq": seq}, channel="jobs.1")
    north.say("jobs.1", 3)
    until(lambda: 3 in heard, "it does not go on")
    until(lambda: not held(own), "it holds what does not come")
    assert sorted(heard, key=str) == [1, 2, 3]


def held(cluster: Cluster) -> int:
    """How many messages the groups have and have not acknowledged."""
    name = cluster.link.stream("BUS")
    found = cluster.link.call(lambda client: client.js.consumers_info(name), 30)
    return sum(one.num_ack_pending or 0 for one in found if one.config.durable_name)
