"""Joining a cluster, leaving it, resting in it, and how this node does in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dino_os.cluster.bus_stream import bus_stream
from dino_os.cluster.carrying import HAD, SENT, joined_as, lock_of
from dino_os.cluster.ledger import JOINED, LEFT, Ledger, State
from dino_os.cluster.link import Client
from dino_os.cluster.nodes import Node, Nodes
from dino_os.cluster.notes import Notes
from dino_os.cluster.relay import Note
from dino_os.cluster.trouble import trouble_of
from dino_os.errors import DinoError, InvalidInput
from dino_os.message_bus.stored import PUBLISHED
from engines.durable import create_file, make_folder
from engines.journal import Position

if TYPE_CHECKING:
    from dino_os.cluster.cluster import Cluster
    from dino_os.workspace import Workspace

_CALL_S = 10.0


def messages_left(workspace: Workspace) -> int:
    """How many messages of this node the servers do not have yet."""
    cluster, journal = cluster_of(workspace), workspace.own_journal("bus")
    note = Note.read(cluster.folder / SENT) or Note()
    start = max(note.place, journal.begin(), key=_seq)
    joined = _ledger(workspace).load().joined
    if joined is None:
        return 0
    return sum(
        event["event_type"] == PUBLISHED and event["seq"] > joined and cluster.shares(event)
        for events, _ in journal.read(start)
        for event in events
    )


def first_needed(cluster: Cluster) -> int:
    """The line of the bus from which on it is still to be sent, or to be taken account of."""
    note, had = Note.read(cluster.folder / SENT), State.read(cluster.folder / HAD)
    return min(note.seq if note else 0, had.seq if had else 0)


def tasks_left(workspace: Workspace) -> int:
    """How many tasks of other nodes this one has taken and not finished."""
    if not (workspace.memory / "engine_state.jsonl").exists():
        return 0
    from engines.resource_engine import FINISHED  # noqa: PLC0415  few have any

    tasks = workspace.resources.tasks()
    return sum(task.origin is not None and task.state not in FINISHED for task in tasks)


LEFT_TO_DO: dict[str, Callable[[Workspace], int]] = {
    "messages to send": messages_left,
    "tasks of others": tasks_left,
}
"""What a node that drains still has to do, and how much of it there is."""


def cluster_of(workspace: Workspace) -> Cluster:
    """
    This node among others.

    Raises:
        InvalidInput: The settings name no cluster.
    """
    if workspace.cluster is None:
        raise InvalidInput(
            "this workspace is in no cluster: `cluster.url` is empty",
            hint="`dino config set cluster.url nats://HOST:4222`; docs/cluster.md has the steps",
        )
    return workspace.cluster


def status_of(workspace: Workspace) -> dict[str, Any]:
    """How this node does; asks the servers, and goes without them."""
    cluster = cluster_of(workspace)
    state, note = _ledger(workspace).load(), Note.read(cluster.folder / SENT) or Note()
    failure: DinoError | None = None
    nodes: list[Node] = []
    try:
        nodes = nodes_of(workspace)
    except DinoError as error:
        failure = error
    holder = lock_of(cluster, workspace.operator).holder()
    return {
        "node": cluster.node,
        "namespace": cluster.settings.namespace,
        "url": cluster.settings.url,
        "connected": cluster.link.connected,
        "server_version": cluster.link.server_version or None,
        "error": failure.message if failure else None,
        "exit_code": failure.exit_code if failure else 0,
        "joined": state.joined is not None,
        "draining": cluster.draining,
        "nodes": len(nodes),
        "alive": sum(node.alive for node in nodes),
        "carried_by": str(holder) if holder else None,
        "messages_to_send": messages_left(workspace),
        "waits_for": note.waits or None,
        "too_large": note.too_large,
        "missed": _missed(state),
        "tasks_error": trouble_of(cluster),
    }


def nodes_of(workspace: Workspace) -> list[Node]:
    """The nodes of the cluster, by name."""
    cluster = cluster_of(workspace)
    return cluster.link.call(Nodes(cluster).all, _CALL_S)


def join(workspace: Workspace) -> bool:
    """
    Make this workspace a node; False where it was one.

    Raises:
        ClusterUnavailable: No server can be reached.
        ClusterError: The name is another's.
        Denied: The servers are not trusted, or do not trust us.
    """
    cluster = cluster_of(workspace)

    lines = workspace.own_journal("bus").length()

    async def register(client: Client) -> bool:
        is_new = await Nodes(cluster).join(client, lines, again=True)
        await bus_stream(client, cluster.link)
        return is_new

    is_new = cluster.link.call(register, _CALL_S)
    ledger = _ledger(workspace)
    if ledger.load().joined is not None:
        return is_new
    ledger.record([(JOINED, joined_as(cluster))])
    return True


def leave(workspace: Workspace, name: str | None = None) -> bool:
    """
    Take this node, or the one of that name, out of the cluster; False where it was not in it.

    Raises:
        InvalidInput: Another one is at work: it is to leave by itself.
        ClusterUnavailable: No server can be reached.
    """
    cluster = cluster_of(workspace)
    nodes = Nodes(cluster)
    if name is not None and not _is_us(workspace, name):
        if any(node.name == name and node.alive for node in nodes_of(workspace)):
            raise InvalidInput(
                f"the node {name!r} is at work", hint="`dino cluster leave`, there, takes it out"
            )
        Notes(cluster).withdraw(name)
        return cluster.link.call(lambda client: nodes.leave(client, name), _CALL_S)
    ledger = _ledger(workspace)
    was = ledger.load().joined is not None
    if was:
        ledger.record([(LEFT, joined_as(cluster))])
    mine = any(node.workspace == cluster.workspace for node in nodes_of(workspace))
    if mine:
        Notes(cluster).withdraw(cluster.node)
        cluster.link.call(lambda client: nodes.leave(client, cluster.node), _CALL_S)
    return was or mine


def _is_us(workspace: Workspace, name: str) -> bool:
    """Whether that is this node, and not another workspace that has its name."""
    cluster = cluster_of(workspace)
    return name == cluster.node and not any(
        node.name == name and node.workspace != cluster.workspace for node in nodes_of(workspace)
    )


def has_left(workspace: Workspace) -> bool:
    """Whether this node has left, and not joined again."""
    return _ledger(workspace).load().left


def drain(workspace: Workspace, *, off: bool = False) -> dict[str, int]:
    """Have this node take no more work of the cluster, or again; what it still has to do."""
    file = cluster_of(workspace).folder / "draining"
    if off:
        file.unlink(missing_ok=True)
        return {}
    make_folder(file.parent)
    if not file.exists():
        create_file(file, b"")
    return {what: count for what, left in LEFT_TO_DO.items() if (count := left(workspace))}


def _missed(state: State) -> list[dict[str, Any]]:
    return [
        {"node": origin.node, "after": after, "upto": upto}
        for origin in state.origins.values()
        for after, upto in origin.missed
    ]


def _ledger(workspace: Workspace) -> Ledger:
    return Ledger(workspace.own_journal("bus"), cluster_of(workspace).folder / HAD)


def _seq(place: Position) -> int:
    return place.seq
