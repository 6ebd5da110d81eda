"""Tasks that travel: what others run is recorded once, by the node whose tasks they are."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from dino_os.cluster import desk, membership, offering
from dino_os.cluster.jobs import Job, JobTask, encode, kind_token
from dino_os.cluster.link import Client
from dino_os.cluster.streams import ensure_stream
from dino_os.cluster.task_pulling import pull_for_ever
from dino_os.cluster.task_streams import consumer, jobs_stream
from dino_os.cluster.trust import new_key
from tests.cluster.certificates import Authority
from tests.cluster.servers import Server, needs_server, one_server
from tests.cluster.task_nodes import Node, Nodes, call, nodes
from tests.resource_engine.functions import nested

pytestmark = needs_server


@pytest.fixture
def two(tmp_path: Path, server: Server) -> Iterator[Nodes]:
    """An owner without workers, and a node that has one."""
    with nodes(tmp_path, server) as found:
        yield found


def test_a_task_runs_elsewhere_and_both_have_it_on_record(two: Nodes) -> None:
    owner, worker = two.owner, two.worker
    owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(20)])
    two.until(two.ended(20))
    tasks = owner.resources.tasks(state="succeeded")
    assert [task.result for task in tasks] == [n * n for n in range(20)]
    assert {event["node"] for event in owner.events("task_succeeded")} == {worker.name}
    assert all(pool.allocated == 0 for pool in owner.resources.pools.values())
    there = worker.resources.tasks(source="peer:owner")
    assert [(task.origin or {})["task"] for task in there] == [task.task_id for task in tasks]
    assert {task.state.value for task in there} == {"succeeded"}


def test_what_may_not_travel_stays(two: Nodes) -> None:
    """Also behind others of its kind, and whatever has been given to this node by another."""
    owner = two.owner
    stays = [{"at_most_once": True}, {"local": True}]
    tasks = [call(f"stays-{n}", n=n, options=options) for n, options in enumerate(stays)]
    owner.resources.submit_tasks([*tasks, call("goes", n=3)])
    two.until(lambda: owner.state("goes") == "succeeded")
    assert [owner.state(f"stays-{n}") for n in range(2)] == ["queued"] * 2


def test_one_is_offered_when_its_time_comes(two: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing else happens: an owner without workers woke up for its beat alone."""
    monkeypatch.setattr(offering, "BEAT_S", 3600.0)
    owner = two.owner
    tasks = [call("first", n=1), call("t", n=2, options={"not_before": time.time() + 0.5})]
    owner.resources.submit_tasks(tasks)
    two.until(two.ended(2))


def test_one_that_was_stopped_by_another_than_its_owner_is_tried_again(two: Nodes) -> None:
    owner, worker = two.owner, two.worker
    owner.resources.submit_task(call("t", "slowly", n=3))
    two.until(lambda: worker.resources.depth()["running"])
    (there,) = worker.resources.tasks()
    worker.resources.cancel(there.task_id)
    two.until(two.ended(1))
    task = owner.resources.task("t")
    assert task
    assert (task.result, task.attempts) == (9, 1)


def test_a_result_that_is_too_large_to_travel_is_told(two: Nodes) -> None:
    owner = two.owner
    owner.resources.submit_tasks(
        [call("large", "long_text", length=200_000), call("huge", "long_text", length=2_000_000)]
    )
    two.until(two.ended(2))
    large, huge = (owner.resources.task(name) for name in ("large", "huge"))
    assert large
    assert huge
    assert len(large.result) == 200_000
    assert (huge.state.value, (huge.error or {})["type"]) == ("dead", "ResultTooLarge")


def test_an_owner_that_was_killed_offers_again_and_takes_no_late_result(two: Nodes) -> None:
    """What was out there was no attempt of the task; the first run's result is void."""
    owner, worker = two.owner, two.worker
    owner.resources.submit_task(call("t", "slowly", n=3, options={"max_attempts": 1}))
    two.until(lambda: worker.resources.depth()["running"])
    owner = two.again(owner)
    two.until(two.ended(1))
    task = owner.resources.task("t")
    assert task
    assert (task.state.value, task.attempts, task.result) == ("succeeded", 1, 9)
    two.until(lambda: worker.resources.totals()["succeeded"] == 2)
    assert len(owner.events("task_succeeded")) == 1
    assert len(owner.events("tasks_returned")) == 1
    assert owner.events("task_failed") == []


def test_a_job_that_comes_again_is_answered_from_the_record(
    two: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is killed between running and telling does not run it again."""
    monkeypatch.setattr(desk, "ACK_WAIT_S", 1.0)
    owner, worker = two.owner, two.worker
    with monkeypatch.context() as mute:
        mute.setattr(desk.Desk, "report", lambda *_: None)
        owner.resources.submit_task(call("t", n=3))
        two.until(lambda: worker.resources.totals()["succeeded"])
    worker = two.again(worker)
    two.until(two.ended(1))
    assert len(worker.events("task_submitted")) == 1
    assert len(worker.events("lease_granted")) == 1
    task = owner.resources.task("t")
    assert task
    assert task.result == 9


def test_a_worker_that_was_killed_goes_on_with_what_it_had(two: Nodes) -> None:
    owner, worker = two.owner, two.worker
    owner.resources.submit_tasks([call(f"t-{n}", "slowly", n=n) for n in range(2)])
    two.until(lambda: worker.resources.depth()["running"])
    two.again(worker)
    two.until(two.ended(2))
    assert {task.attempts for task in owner.resources.tasks(state="succeeded")} == {1}


def test_a_node_that_leaves_gives_back_what_it_has(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it: that would take longer than this test does."""
    monkeypatch.setattr(desk, "ACK_WAIT_S", 600.0)
    with nodes(tmp_path, server, (0, 1, 1)) as found:
        owner, leaver = found.owner, found.worker
        owner.resources.submit_tasks([call(f"t-{n}", "slowly", n=n) for n in range(6)])
        found.until(lambda: leaver.resources.depth()["running"])
        leaver.close()
        found.all.remove(leaver)
        found.until(found.ended(6))
        assert leaver.resources.depth()["queued"] == 0


def test_a_node_that_drains_takes_no_more(tmp_path: Path, server: Server) -> None:
    with nodes(tmp_path, server, (0, 1, 1)) as found:
        owner, drained = found.owner, found.worker
        membership.drain(drained.workspace)
        owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(10)])
        found.until(found.ended(10))
        assert drained.resources.tasks() == []
        assert membership.tasks_left(drained.workspace) == 0


def test_two_owners_share_a_worker(tmp_path: Path, server: Server) -> None:
    with nodes(tmp_path, server, (0, 1, 0)) as found:
        owners = [found.all[0], found.all[2]]
        for owner in owners:  # ids are each owner's own
            owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(10)])
        found.until(lambda: all(o.resources.totals()["succeeded"] == 10 for o in owners))


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0], ids=["ahead", "behind"])
def test_a_clock_an_hour_off_changes_nothing(
    two: Nodes, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """Of the node that runs them: when, how long and how often is its owner's to say."""
    owner, worker = two.owner, two.worker
    monkeypatch.setattr(worker.resources, "clock", lambda: time.time() + ahead_s)
    monkeypatch.setattr(worker.resources.journal, "_clock", lambda: time.time() + ahead_s)
    soon = time.time() + 0.3
    owner.resources.submit_tasks(
        [
            *(call(f"t-{n}", n=n) for n in range(10)),
            call("fails", "fail", options={"max_attempts": 2}),
            call("later", "later", s=0.2, options={"max_attempts": 2}),
            call("due", n=3, options={"not_before": soon, "start_by": soon + 600}),
            call("long", "slowly", n=1, s=3600.0, options={"timeout_s": 0.5, "max_attempts": 1}),
        ]
    )
    two.until(two.ended(14))
    owner.resources.submit_task(call("stopped", "slowly", n=1, s=3600.0))
    two.until(lambda: worker.resources.depth()["running"])
    owner.resources.cancel("stopped")
    two.until(two.ended(15))
    totals = owner.resources.totals()
    assert (totals["succeeded"], totals["dead"], totals["cancelled"]) == (11, 3, 1)
    attempts = {task.task_id: task.attempts for task in owner.resources.tasks(state="dead")}
    assert attempts == {"fails": 2, "later": 2, "long": 1}
    assert owner.events("tasks_returned") == []
    due = next(e for e in owner.events("task_succeeded") if e["task_id"] == "due")
    assert due["timestamp"] >= soon
    ran = worker.events("task_succeeded")
    assert all(abs(e["timestamp"] - time.time() - ahead_s) < 600 for e in ran)


def test_over_tls_with_keys_of_their_own(tmp_path: Path) -> None:
    authority, keys = Authority(tmp_path), [new_key() for _ in range(2)]
    users = [{"nkey": public} for _, public in keys]
    more = {"tls": authority.sign("localhost"), "authorization": {"users": users}}
    server = Server(tmp_path / "tls", more=more).start()
    given = {"url": f"tls://localhost:{server.port}", "ca": str(authority.ca)}
    try:
        with nodes(tmp_path / "nodes", server, credentials="cluster", **given) as found:
            for node, (seed, _) in zip(found.all, keys, strict=True):
                node.workspace.security.set_key("cluster", seed)
            owner, worker = found.owner, found.worker
            owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(10)])
            found.until(found.ended(10))
            assert {e["node"] for e in owner.events("task_succeeded")} == {worker.name}
            for node in found.all:
                assert all(
                    seed.encode() not in file.read_bytes()
                    for seed, _ in keys
                    for file in (node.home / "memory").rglob("*")
                    if file.is_file()
                )
    finally:
        server.kill()


# --- what goes wrong on the way ------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners that look after their jobs all the time."""
    for name in ("_CHECK_S", "_OLD_S", "_AWAY_S"):
        monkeypatch.setattr(offering, name, 0.3)


@pytest.mark.usefixtures("hasty")
def test_jobs_that_the_stream_lost_come_back(two: Nodes) -> None:
    owner, worker = two.owner, two.worker
    two.until(lambda: owner.traffic.turn(claim=True) or owner.traffic._others.places())
    owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(3)])
    two.until(lambda: _in_stream(owner), but=[worker])
    _purge(owner)
    two.until(two.ended(3))
    assert {task.attempts for task in owner.resources.tasks(state="succeeded")} == {1}
    assert owner.events("tasks_returned")


def test_consumers_that_are_gone_are_made_anew(two: Nodes) -> None:
    """As after an hour without a pull; servers before 2.10 do not answer a pull from none."""
    owner = two.owner
    owner.resources.submit_task(call("before", n=1))
    two.until(two.ended(1))
    _delete_consumers(owner)
    owner.resources.submit_tasks([call(f"t-{n}", n=n) for n in range(3)])
    two.until(two.ended(4))
    assert owner.resources.totals()["succeeded"] == 4


def test_who_pulls_no_more_leaves_no_inbox_behind(two: Nodes) -> None:
    link = two.owner.workspace.cluster.link  # type: ignore[union-attr]
    stream, config = jobs_stream(link), consumer("job-x", link.subject("job", "x", "*"), 10.0)

    async def room() -> int:
        return 1

    async def listened(client: Client) -> tuple[int, int, int]:
        await ensure_stream(client, link.settings, stream)
        before = len(client.nc._subs)
        pulling = asyncio.ensure_future(
            pull_for_ever(client, link, stream, config, room=room, take=print)
        )
        while len(client.nc._subs) == before:  # noqa: ASYNC110  nothing tells of that
            await asyncio.sleep(0.01)
        during = len(client.nc._subs)
        pulling.cancel()
        await asyncio.wait([pulling])
        return before, during, len(client.nc._subs)

    before, during, behind = link.call(listened, 30.0)
    assert before == behind < during


def test_a_server_that_lost_its_disk_holds_up_nothing_for_ever(tmp_path: Path) -> None:
    server = one_server(tmp_path)
    try:
        with nodes(tmp_path, server) as found:
            owner, worker = found.owner, found.worker
            owner.resources.submit_task(call("before", n=1))
            found.until(found.ended(1))
            owner.resources.submit_tasks([call(f"under-way-{n}", "slowly", n=n) for n in range(2)])
            found.until(lambda: worker.resources.depth()["running"])
            server.kill()
            shutil.rmtree(server.folder / "js")
            server.start()
            owner.resources.submit_task(call("behind", n=3))
            found.until(found.ended(4))
            assert owner.resources.totals()["succeeded"] == 4
    finally:
        server.kill()


def test_what_a_full_stream_refuses_runs_here(tmp_path: Path, server: Server) -> None:
    with nodes(tmp_path, server, (1, 1)) as found:
        owner, worker = found.owner, found.worker
        link = owner.workspace.cluster.link  # type: ignore[union-attr]
        config = StreamConfig(
            name=link.stream("TASKS"),
            subjects=[link.subject("job", ">")],
            max_bytes=10,
            discard="new",  # type: ignore[arg-type]
            retention="workqueue",  # type: ignore[arg-type]
        )
        link.call(lambda client: client.js.add_stream(config))
        owner.resources.submit_tasks([call(f"t-{n}", "slowly", n=n) for n in range(4)])
        found.until(found.ended(4))
        assert worker.resources.tasks() == []
        assert {task.attempts for task in owner.resources.tasks(state="succeeded")} == {1}


@pytest.mark.usefixtures("hasty")
def test_without_the_server_the_work_is_done_here_and_with_it_again_elsewhere(
    tmp_path: Path,
) -> None:
    server = one_server(tmp_path / "server")
    try:
        with nodes(tmp_path / "nodes", server, (1, 1)) as found:
            owner, worker = found.owner, found.worker
            found.until(lambda: owner.traffic.turn(claim=True) or owner.traffic._others.places())
            owner.resources.submit_tasks([call(f"t-{n}", "slowly", n=n) for n in range(4)])
            found.until(lambda: _in_stream(owner), but=[worker])
            server.kill()
            found.until(found.ended(4), but=[worker])
            assert all("node" not in event for event in owner.events("task_succeeded"))
            server.start()
            owner.places = 0
            owner.crew.close()  # type: ignore[union-attr]
            owner.crew = None
            owner.resources.submit_task(call("later", n=5))
            found.until(found.ended(5))
            assert owner.events("task_succeeded")[-1]["node"] == worker.name
    finally:
        server.kill()


def test_a_node_runs_only_what_it_has_itself(two: Nodes) -> None:
    """Whoever may write into the stream can offer a job, and not what is done."""
    owner, worker = two.owner, two.worker
    owner.resources.submit_task(call("before", n=1))
    two.until(two.ended(1))
    kind = kind_token("call:here:square", "")
    tasks = [JobTask(task="x", key="x", params={"n": 1})]
    for body in (
        encode(Job("owner", "0" * 32, 1, "call:os:system", "", tasks)),
        encode(Job("owner", "0" * 32, 2, "skill:square", "0" * 64, tasks)),
        encode(Job("owner", "0" * 32, 3, "call:here:square", "", tasks)).replace(
            b'"n":1', b'"n":123456789012345678901234567890'
        ),
        *(
            encode(Job("owner", "0" * 32, depth, "call:here:square", "", [_deep(depth)]))
            for depth in (201, 247, 251)
        ),
        b"not a job",
        b'{"owner":"a.b","session":"","lease":-1,"does":"","sha256":"","tasks":[]}',
    ):
        _publish(owner, kind, body)
    owner.resources.submit_task(call("behind", n=1))
    two.until(two.ended(2))
    assert len(worker.events("task_submitted")) == 2


def _deep(depth: int) -> JobTask:
    return JobTask(task="x", key="x", params={"n": nested(depth - 1)})


def _in_stream(node: Node) -> int:
    link = node.workspace.cluster.link  # type: ignore[union-attr]
    try:
        info = link.call(lambda client: client.js.stream_info(link.stream("TASKS")))
    except Exception:  # noqa: BLE001  it is not there yet
        return 0
    return int(info.state.messages)


def _purge(node: Node) -> None:
    link = node.workspace.cluster.link  # type: ignore[union-attr]
    link.call(lambda client: client.js.purge_stream(link.stream("TASKS")))


def _publish(node: Node, kind: str, body: bytes) -> None:
    link = node.workspace.cluster.link  # type: ignore[union-attr]
    link.call(lambda client: client.js.publish(link.subject("job", kind, "owner"), body))


def _delete_consumers(node: Node) -> None:
    link = node.workspace.cluster.link  # type: ignore[union-attr]

    async def delete(client: Client) -> None:
        for stream in map(link.stream, ("TASKS", "RESULTS")):
            for one in await client.js.consumers_info(stream):
                await client.js.delete_consumer(stream, one.name)

    link.call(delete)
