"""Tasks over three servers that hold their streams together: any one of them may fail."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.servers import Three, needs_server
from tests.cluster.task_nodes import Node, call, nodes

pytestmark = needs_server

TASKS = 60


def test_the_server_that_leads_is_killed(tmp_path: Path, three: Three) -> None:
    with nodes(tmp_path, three, (0, 2, 2)) as found:
        owner = found.owner
        owner.resources.submit_tasks([call(f"t-{n}", "slowly", n=n, s=0.05) for n in range(TASKS)])
        found.until(found.ended(TASKS // 4))
        leader = three.named(_leader(owner))
        leader.kill()
        found.until(found.ended(TASKS))
        leader.start()
        ended = [event["task_id"] for event in owner.events("task_succeeded")]
        assert sorted(ended) == sorted(f"t-{n}" for n in range(TASKS))
        assert {task.result for task in owner.resources.tasks()} == {n * n for n in range(TASKS)}


def _leader(node: Node) -> str:
    cluster = node.workspace.cluster
    assert cluster
    link = cluster.link
    info = link.call(lambda client: client.js.stream_info(link.stream("TASKS")), 20.0)
    assert info.cluster
    assert info.config.num_replicas == 3
    return str(info.cluster.leader)
