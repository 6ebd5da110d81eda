"""`dino cluster`, in processes of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dino_os.cluster.traffic import Traffic
from dino_os.workspace import Workspace
from tests.cluster.nodes import MakeNodes, Node
from tests.cluster.servers import BINARY, Server, free_port, needs_server, until
from tests.conftest import Dino

pytestmark = needs_server


def test_without_a_cluster_it_says_how_to_get_one(dino: Dino) -> None:
    assert "`cluster.url` is empty" in dino("cluster", code=2).err


def test_from_joining_to_leaving(make_nodes: MakeNodes, server: Server, dino: Dino) -> None:
    north, south = make_nodes(server.url, "north", "south", carry=False)
    at = north.home
    assert not dino("cluster", "--json", cwd=at).json["joined"]
    assert dino("cluster", "join", "--json", cwd=at).json == {"node": "north", "joined": True}
    assert "already" in dino("cluster", "join", cwd=at).out
    found = dino("cluster", "status", "--json", cwd=at).json
    assert found["joined"]
    assert found["connected"]
    assert found["carried_by"] is None
    north.say("x", 1, 2)
    text = dino("cluster", cwd=at).out
    assert "to be sent: 2 messages" in text
    assert dino("cluster", "drain", "--json", cwd=at, code=75).json["left"] == {
        "messages to send": 2
    }
    south.up()
    north.up()
    south.await_heard([1, 2])
    seen = {node["name"]: node for node in dino("cluster", "nodes", "--json", cwd=at).json}
    assert set(seen) == {"north", "south"}
    assert seen["north"]["alive"]
    assert "at work" in dino("cluster", "leave", "north", cwd=south.home, code=2).err
    assert dino("cluster", "drain", "--wait", "20", cwd=at).out == "nothing is left\n"
    assert dino("cluster", "drain", "--off", cwd=at).out == "takes work again\n"
    north.down()
    assert dino("cluster", "leave", "--json", cwd=at).json == {"node": "north", "left": True}
    names = [node["name"] for node in dino("cluster", "nodes", "--json", cwd=south.home).json]
    assert names == ["south"]


def test_two_workspaces_of_one_name_are_noticed(
    make_nodes: MakeNodes, server: Server, dino: Dino
) -> None:
    north, south = make_nodes(server.url, "north", "south", carry=False)
    dino("cluster", "join", cwd=north.home)
    text = (south.home / "config.yaml").read_text().replace('"south"', '"north"')
    (south.home / "config.yaml").write_text(text)
    assert (
        "another workspace is the node 'north'"
        in dino("cluster", "join", cwd=south.home, code=1).err
    )


def test_why_a_service_shares_no_tasks_is_shown(
    make_nodes: MakeNodes, server: Server, dino: Dino
) -> None:
    """For as long as it is so, and that service lives."""
    north, south = make_nodes(server.url, "north", "south", carry=False)
    dino("cluster", "join", cwd=north.home)
    text = (south.home / "config.yaml").read_text().replace('"south"', '"north"')
    (south.home / "config.yaml").write_text(text)
    workspace = Workspace(south.home)
    assert workspace.cluster
    traffic = Traffic(workspace, workspace.cluster, lambda: 1)
    try:
        until(lambda: not traffic.turn(claim=True) and traffic.error, "it is not refused")
        told = "tasks are not shared now: another workspace is the node 'north'"
        assert told in dino("cluster", "status", cwd=south.home).out
        dino("cluster", "leave", cwd=north.home)
        until(lambda: not traffic.turn(claim=True) and not traffic.error, "it goes on refused")
        assert dino("cluster", "status", "--json", cwd=south.home).json["tasks_error"] is None
    finally:
        traffic.close()
        workspace.cluster.link.close()


def test_a_copy_at_work_elsewhere_is_noticed(
    make_nodes: MakeNodes, server: Server, dino: Dino, tmp_path: Path
) -> None:
    (north,) = make_nodes(server.url, "north")
    until(lambda: north.lines("stream_began"), "it does not join")
    copy = tmp_path / "copy"
    shutil.copytree(north.home, copy)
    seen = lambda: any(n["alive"] for n in dino("cluster", "nodes", "--json", cwd=copy).json)  # noqa: E731
    until(seen, "it gives no sign of life")
    assert "at work elsewhere" in dino("cluster", "join", cwd=copy, code=1).err
    twin = Node(copy).up()
    try:
        until(lambda: "at work elsewhere" in twin.error, "the copy does not notice")
        assert not north.error
    finally:
        twin.down()


def test_nobody_there(make_nodes: MakeNodes, dino: Dino) -> None:
    (north,) = make_nodes(f"nats://127.0.0.1:{free_port()}", "north", carry=False)
    found = dino("cluster", "--json", cwd=north.home, code=4).json
    assert "connection refused" in found["error"]
    assert (
        dino("cluster", "nodes", "--json", cwd=north.home, code=4).error["code"]
        == "cluster_unavailable"
    )
    assert "not connected" in dino("cluster", cwd=north.home, code=4).out


def test_a_leafs_configuration_is_one(dino: Dino, tmp_path: Path) -> None:
    """And it lets nobody in by mistake."""
    write = ["cluster", "leaf", "leaf.conf"]
    assert "tls://" in dino(*write, "--hub", "nats://10.0.0.1", code=2).err
    open_ = dino(*write, "--hub", "tls://hub", "--listen", "0.0.0.0:4222", code=2)
    assert "other machines could connect" in open_.err
    dino(*write, "--hub", "tls://hub.example", "--listen", f"127.0.0.1:{free_port()}")
    file = tmp_path / "leaf.conf"
    assert file.stat().st_mode & 0o077 == 0
    assert BINARY
    tried = subprocess.run(
        [BINARY, "-t", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stderr


def test_a_key_for_this_node(dino: Dino) -> None:
    public = dino("cluster", "key", "north", "--json").json["public"]
    assert public.startswith("U")
    assert len(public) == 56
    assert "north" in json.dumps(dino("keys", "list", "--json").json)


def test_what_servers_do_not_have_is_not_pruned(make_nodes: MakeNodes, server: Server) -> None:
    from dino_os.cluster.membership import first_needed

    north, south = make_nodes(server.url, "north", "south", carry=False)
    cluster = north.workspace.cluster
    assert cluster
    north.up()
    until(lambda: north.lines("node_joined"), "it does not join")
    north.say("x", 1)
    south.up().await_heard([1])
    north.down()
    north.say("x", 2, 3)
    first = north.lines("message_published")[1]["seq"]
    assert first_needed(cluster) <= first


def test_a_server_that_is_not_trusted(dino: Dino, make_nodes: MakeNodes, tmp_path: Path) -> None:
    users = {"authorization": {"users": [{"user": "me", "password": "right"}]}}
    strict = Server(tmp_path / "strict", more=users).start()
    try:
        (north,) = make_nodes(strict.url, "north", carry=False)
        found = dino("cluster", "--json", cwd=north.home, code=3).json
        assert "did not accept our credentials" in found["error"]
        assert dino("cluster", "join", "--json", cwd=north.home, code=3).error["code"] == "denied"
    finally:
        strict.kill()


def test_a_service_carries(dino: Dino, make_nodes: MakeNodes, server: Server) -> None:
    """And one that runs once sends what there is before it leaves."""
    north, south = make_nodes(server.url, "north", "south", carry=False)
    south.up()
    dino("cluster", "join", cwd=north.home)
    north.say("x", 1, 2)
    dino("scheduler", "tick", cwd=north.home)
    south.await_heard([1, 2])


@pytest.mark.parametrize("url", ["nats://me:canary@h:4222", "me:canary@h", ["nats://canary@h"]])
def test_a_password_in_the_address_is_refused_and_never_shown(
    dino: Dino, tmp_path: Path, url: object
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps({"cluster": {"url": url}}))
    for command in (["cluster"], ["cluster", "status", "--json"], ["config", "show"]):
        told = dino(*command, cwd=tmp_path, code=2)
        assert "canary" not in told.out + told.err
    if isinstance(url, str):
        assert "`cluster.credentials`" in told.err
        (tmp_path / "config.yaml").unlink()
        told = dino("config", "set", "cluster.url", url, cwd=tmp_path, code=2)
        assert "canary" not in told.out + told.err
        assert not (tmp_path / "config.yaml").exists()
