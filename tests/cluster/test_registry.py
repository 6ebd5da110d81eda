"""Names: whose one is, who was taken out, and who is not what the cluster knows of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dino_os.cluster import membership
from dino_os.cluster.nodes import NodeRefused
from tests.cluster.nodes import MakeNodes, Node
from tests.cluster.servers import Server, needs_server, until
from tests.cluster.task_nodes import call, nodes

pytestmark = needs_server


def names(node: Node) -> dict[str, bool]:
    """Who is registered, and whether it is there."""
    found = {one.name: one.alive for one in membership.nodes_of(node.workspace)}
    assert node.workspace.cluster
    node.workspace.cluster.link.close()
    return found


def test_one_that_was_taken_out_stays_out_until_it_joins(
    make_nodes: MakeNodes, server: Server
) -> None:
    north, south = make_nodes(server.url, "north", "south")
    north.say("x", 1)
    south.await_heard([1])
    north.down()
    assert membership.leave(south.workspace, "north")
    assert not membership.leave(south.workspace, "north")
    north.up()
    until(lambda: "was taken out" in north.error, f"it is back: {north.error}")
    assert names(south) == {"south": True}
    north.say("x", 2)
    assert membership.join(north.workspace)
    assert not membership.join(north.workspace)
    assert north.workspace.cluster
    north.workspace.cluster.link.close()
    south.await_heard([1, 2])
    assert not north.error


def test_the_name_of_one_that_was_taken_out_is_free(
    make_nodes: MakeNodes, server: Server, tmp_path: Path
) -> None:
    north, south = make_nodes(server.url, "north", "south")
    until(lambda: north.lines("stream_began"), f"it does not join: {north.error}")
    north.down()
    (tmp_path / "new" / "skills").mkdir(parents=True)
    shutil.copy(north.home / "config.yaml", tmp_path / "new" / "config.yaml")
    new = Node(tmp_path / "new")
    with pytest.raises(NodeRefused, match="another workspace"):
        membership.join(new.workspace)
    until(lambda: not names(south)["north"], "it is still there")
    assert membership.leave(new.workspace, "north")
    assert membership.join(new.workspace)
    with pytest.raises(NodeRefused, match="another workspace"):
        membership.join(north.workspace)
    for node in (new, north, south):
        assert node.workspace.cluster
        node.workspace.cluster.link.close()


def test_an_old_copy_is_refused(make_nodes: MakeNodes, server: Server, tmp_path: Path) -> None:
    """What it says would go under numbers that others have."""
    north, south = make_nodes(server.url, "north", "south")
    north.say("x", 1)
    south.await_heard([1])
    north.down()
    shutil.copytree(north.home, tmp_path / "backup")
    north.up()
    north.say("x", 2, 3, 4)
    south.await_heard([1, 2, 3, 4])
    north.down()  # says how far it came
    shutil.rmtree(north.home)
    shutil.copytree(tmp_path / "backup", north.home)
    old = Node(north.home)
    with pytest.raises(NodeRefused, match="an old copy") as told:
        membership.join(old.workspace)
    assert "dino init" in (told.value.hint or "")
    assert old.workspace.cluster
    old.workspace.cluster.link.close()
    old.up()
    try:
        until(lambda: "an old copy" in old.error, "it goes on")
    finally:
        old.down()


def test_tasks_are_shared_under_a_name_of_ones_own_only(tmp_path: Path, server: Server) -> None:
    with nodes(tmp_path, server, (0, 0, 1)) as found:
        first, second, worker = found.all
        found.until(lambda: membership.nodes_of(first.workspace))
        second.close()
        text = (second.home / "config.yaml").read_text().replace('"worker-1"', '"owner"')
        (second.home / "config.yaml").write_text(text)
        second = found.again(second)
        for node in (first, second):
            node.resources.submit_tasks([call(f"{node.name}-{n}", n=n) for n in range(5)])
        found.until(lambda: second.traffic.error and found.ended(5)())
        assert "another workspace is the node 'owner'" in str(second.traffic.error)
        assert second.resources.totals()["succeeded"] == 0
        assert {task.origin["task"] for task in worker.resources.tasks() if task.origin} == {
            f"owner-{n}" for n in range(5)
        }


def test_one_that_is_taken_out_deals_no_more_in_tasks(tmp_path: Path, server: Server) -> None:
    with nodes(tmp_path, server) as found:
        owner, worker = found.all
        owner.resources.submit_tasks([call("t", n=3)])
        found.until(found.ended(1))
        assert membership.leave(owner.workspace, worker.name)
        found.until(lambda: "was taken out" in str(worker.traffic.error))
        owner.resources.submit_tasks([call("later", n=3)])
        assert membership.join(worker.workspace)
        found.until(found.ended(2))
        assert worker.traffic.error is None
