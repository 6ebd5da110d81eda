"""Due times that nodes share: each runs once in all, and each node says what it knows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.cluster.servers import HubAndLeaf, Server, needs_server, one_server
from tests.cluster.sites import Site

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

pytestmark = needs_server
MakeSite = Callable[..., Site]
EVERY = {"minutes": 10}
SHORT_S = 1.0


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Iterator[MakeSite]:
    """Nodes of one cluster, by name."""
    namespace, made = uuid4().hex[:12], list[Site]()

    def make(name: str, url: str = server.url, **options: Any) -> Site:
        made.append(Site(tmp_path, url, name, namespace, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def two(site: MakeSite, **options: Any) -> tuple[Site, Site]:
    """Two nodes with the same job, of which the first leads."""
    a, b = site("a", **options), site("b", **options)
    for one in (a, b):
        one.desk.add(overlap="allow")
        one.at("2027-01-15T08:31:00Z")
    return a, b


def test_a_due_time_runs_on_the_node_that_leads(site: MakeSite) -> None:
    a, b = two(site)
    b.at("2027-01-15T08:40:00Z")
    assert b.states == []  # it waits for who leads
    a.at("2027-01-15T08:40:00Z")
    b.settle()
    assert a.states == ["08:40 submitted"]
    assert b.states == ["08:40 elsewhere a"]
    assert a.desk.runs == ["08:40"]
    assert b.desk.runs == []


def test_only_the_leader_claims_as_long_as_it_does_its_work(site: MakeSite) -> None:
    """One that renews its lease and fires nothing is not waited for for ever."""
    a, b = two(site)
    a.at("2027-01-15T08:39:59Z")
    b.at("2027-01-15T08:40:01Z")
    assert b.desk.jobs.held
    a.set("2027-01-15T08:40:05Z")
    a.occurrences.look(a.desk.jobs.shared())
    b.at("2027-01-15T08:40:05Z")
    assert b.states == []
    a.set("2027-01-15T08:40:15Z")
    a.occurrences.look(a.desk.jobs.shared())
    b.at("2027-01-15T08:40:15Z")
    assert b.states == ["08:40 submitted"]
    a.at("2027-01-15T08:40:16Z")
    assert a.states == ["08:40 elsewhere b"]


def test_jobs_differ_where_their_definition_does(site: MakeSite) -> None:
    a, b = site("a"), site("b")
    a.desk.add(params={"n": 1})
    b.desk.add(params={"n": 2})
    for one in (a, b):
        one.at("2027-01-15T08:31:00Z", "2027-01-15T08:40:00Z")
    assert a.desk.runs == b.desk.runs == ["08:40"]


def test_a_job_that_the_leader_does_not_have_does_not_wait_for_it(site: MakeSite) -> None:
    a, b = two(site, lease_s=SHORT_S)
    a.desk.jobs.add_job("other", "harbour:measure", "cron", minute=0, tz="UTC")
    a.desk.jobs.remove_job("tide")
    a.at("2027-01-15T08:39:00Z")
    b.at("2027-01-15T08:40:00Z")
    b.settle()
    assert b.states == ["08:40 submitted"]


def test_a_job_of_scope_node_is_each_nodes_own(site: MakeSite) -> None:
    a, b = site("a"), site("b")
    for one in (a, b):
        one.desk.add(scope="node")
        one.at("2027-01-15T08:40:00Z")
    assert a.states == b.states == ["08:40 submitted"]


def test_what_somebody_asks_for_now_runs_where_it_was_asked(site: MakeSite) -> None:
    a, b = two(site)
    b.desk.jobs.run_now("tide")
    b.at("2027-01-15T08:32:00Z")
    a.at("2027-01-15T08:32:00Z")
    assert b.desk.runs == ["08:31"]
    assert a.states == []


def test_intervals_of_all_nodes_are_counted_from_the_epoch(site: MakeSite) -> None:
    """However much later one node was told of the job than another."""
    a, b = site("a"), site("b")
    a.desk.jobs._shares = True  # so it is where the settings name a cluster when the job is added
    a.clock.set("2027-01-15T08:31:17Z")
    a.desk.add()
    assert a.desk.jobs.list_jobs()[0]["next_run"] == "2027-01-15T08:40:00Z"
    b.clock.set("2027-01-15T08:33:05Z")
    b.desk.add()
    for one in (a, b):
        one.at("2027-01-15T08:34:00Z")
    assert {next(iter(one.desk.jobs.list_jobs()))["next_run"] for one in (a, b)} == {
        "2027-01-15T08:40:00Z"
    }


def test_when_the_leader_is_gone_another_leads(site: MakeSite) -> None:
    a, b = two(site, lease_s=SHORT_S)
    b.at("2027-01-15T08:40:00Z")
    assert b.states == []
    b.settle()  # a, which leads, never takes a turn
    lease = b.occurrences.leader()
    assert lease
    assert lease.ours
    assert b.states == ["08:40 submitted"]
    a.at("2027-01-15T08:40:00Z")
    a.settle()
    assert a.states == ["08:40 elsewhere b"]
    found = a.occurrences.leader()
    assert found
    assert (found.node, found.epoch) == ("b", lease.epoch)


def test_a_node_that_is_being_drained_takes_nothing(site: MakeSite) -> None:
    a, b = two(site, lease_s=60.0)
    a.cluster.folder.mkdir(parents=True)
    (a.cluster.folder / "draining").touch()
    for one in (a, b):
        one.at("2027-01-15T08:40:00Z")
    assert (a.states, b.states) == ([], ["08:40 submitted"])
    (a.cluster.folder / "draining").unlink()
    a.at("2027-01-15T08:41:00Z")
    assert a.states == ["08:40 elsewhere b"]


def test_a_leader_that_leaves_is_not_waited_for(site: MakeSite) -> None:
    a, b = two(site, lease_s=60.0)
    a.occurrences.release()
    b.at("2027-01-15T08:40:00Z")
    assert b.states == ["08:40 submitted"]


@pytest.mark.parametrize(
    ("misfire", "states"),
    [
        ("fire_once", ["08:40-09:00 x2 skipped misfire", "09:20 submitted"]),
        ("fire_all", ["08:40 submitted", "09:00 submitted", "09:20 submitted"]),
        ("skip", ["08:40-09:00 x2 skipped misfire", "09:20 submitted"]),
    ],
)
def test_a_claim_of_a_node_that_was_killed_is_taken_over_by_the_jobs_policy(
    site: MakeSite, misfire: str, states: list[str]
) -> None:
    """It was begun, and its holder never said that it was fired: nothing can have run."""
    a, b = site("a", lease_s=SHORT_S), site("b", lease_s=SHORT_S)
    for one in (a, b):
        one.desk.add(overlap="allow", minutes=20, misfire=misfire, grace_s=600)
        one.at("2027-01-15T08:31:00Z")
    killed_before_it_records(a)
    b.at("2027-01-15T09:22:00Z")
    b.settle()
    assert b.states == states
    a.at("2027-01-15T09:22:00Z")  # it comes back after all
    a.settle()
    assert a.desk.runs == []
    assert a.states[0].startswith("08:40")


def test_a_claim_that_is_held_by_a_node_that_comes_back_is_gone_on_with(site: MakeSite) -> None:
    a, b = two(site)
    killed_before_it_records(a)
    b.at("2027-01-15T08:40:00Z")
    assert b.states == []
    a.at("2027-01-15T08:40:05Z")
    b.settle()
    assert (a.states, b.states) == (["08:40 submitted"], ["08:40 elsewhere a"])


def test_what_was_recorded_and_taken_over_since_does_not_run(site: MakeSite) -> None:
    """Killed between its record and its word that it fires, and away for long enough."""
    a, b = two(site, lease_s=SHORT_S)
    a.occurrences.confirm = lambda held, dropped: {}  # type: ignore[method-assign]
    decide, a.desk.jobs.submit = a.desk.jobs.submit, lambda *_: None  # type: ignore[method-assign]
    a.at("2027-01-15T08:40:00Z")
    assert a.states == ["08:40 recorded"]
    b.at("2027-01-15T08:40:00Z")
    b.settle()
    assert b.states == ["08:40 submitted"]
    a.desk.jobs.submit = decide  # type: ignore[method-assign]
    del a.occurrences.confirm
    a.at("2027-01-15T08:41:00Z")
    assert a.states == ["08:40 elsewhere b"]
    assert a.desk.runs == []


def test_what_a_node_missed_and_others_had_is_not_made_good(site: MakeSite) -> None:
    a, b = two(site)
    for time in ("08:40", "08:50", "09:00"):
        a.at(f"2027-01-15T{time}:00Z")
    a.occurrences.release()
    b.at("2027-01-15T09:05:00Z")
    b.settle()
    assert b.desk.runs == []
    assert b.states == ["08:40-09:00 x3 elsewhere a"]


# --- nobody can be asked -------------------------------------------------------------------------


@pytest.fixture
def frail(tmp_path: Path) -> Iterator[Server]:
    """A server to be killed."""
    found = one_server(tmp_path / "frail")
    yield found
    found.kill()


@pytest.mark.parametrize(
    ("misfire", "states"),
    [
        ("fire_once", ["08:40-08:50 x2 skipped misfire", "09:00 submitted"]),
        ("fire_all", ["08:40 submitted", "08:50 submitted", "09:00 submitted"]),
        ("skip", ["08:40-09:00 x3 skipped misfire"]),
    ],
)
def test_without_the_cluster_a_shared_job_waits_and_follows_its_policy_then(
    site: MakeSite, frail: Server, misfire: str, states: list[str]
) -> None:
    a = site("a", frail.url)
    a.desk.add(overlap="allow", misfire=misfire, grace_s=0)
    a.desk.jobs.add_job("own", "harbour:measure", "cron", minute=45, tz="UTC", scope="node")
    a.at("2027-01-15T08:31:00Z")
    frail.kill()
    a.at("2027-01-15T08:40:00Z", "2027-01-15T08:50:00Z")
    assert a.states == []
    assert a.desk.runs == ["08:45"]  # what is its own does not wait
    frail.start()
    a.set("2027-01-15T09:05:00Z")
    a.settle()
    assert a.states == states


def test_a_site_that_is_cut_off_hears_of_it_when_it_is_back(
    site: MakeSite, leaf: HubAndLeaf
) -> None:
    """Where the others go on, nothing of theirs runs twice."""
    a, b = site("a", leaf.hub.url, domain="hub"), site("b", leaf.leaf.url, domain="hub")
    for one in (a, b):
        one.desk.add(overlap="allow", misfire="fire_all")
        one.at("2027-01-15T08:31:00Z")
    leaf.leaf.kill()
    for time in ("08:40", "08:50"):
        for one in (b, a):
            one.at(f"2027-01-15T{time}:00Z")
    assert (a.states, b.states) == (["08:40 submitted", "08:50 submitted"], [])
    leaf.leaf.start()
    b.settle()
    assert b.states == ["08:40 elsewhere a", "08:50 elsewhere a"]


def test_where_it_is_set_so_a_job_goes_on_alone_and_says_so(site: MakeSite, frail: Server) -> None:
    a, b = site("a", frail.url, scheduler="alone"), site("b", frail.url)
    for one in (a, b):
        one.desk.add(overlap="allow")
        one.at("2027-01-15T08:31:00Z")
    frail.kill()
    for one in (a, b):
        one.at("2027-01-15T08:40:00Z")
    assert (a.states, b.states) == (["08:40 submitted"], [])
    assert a.desk.jobs.history("tide")[0]["claim"] == "alone"
    frail.start()
    for one in (a, b):
        one.reconnect()
        one.set("2027-01-15T08:50:00Z")
        one.settle()  # the second hears of what ran meanwhile, and does not make it good
        one.turns_until(lambda one=one: not one.occurrences._alone)  # type: ignore[misc]
    assert a.states == ["08:40 submitted", "08:50 submitted"]
    assert b.states == ["08:40-08:50 x2 elsewhere a"]


def test_what_was_recorded_when_the_servers_went_away_is_decided_anew(
    site: MakeSite, frail: Server
) -> None:
    a = site("a", frail.url)
    a.desk.add(misfire="skip", grace_s=60)
    a.at("2027-01-15T08:31:00Z")
    confirm = a.occurrences.confirm

    def killed_first(*asked: Any) -> Any:
        frail.kill()
        return confirm(*asked)

    a.occurrences.confirm = killed_first  # type: ignore[method-assign]
    a.at("2027-01-15T08:40:00Z")
    assert a.states == []
    del a.occurrences.confirm
    frail.start()
    a.set("2027-01-15T08:45:00Z")
    a.settle()
    assert a.states == ["08:40 skipped misfire"]
    assert a.desk.runs == []


def test_a_server_that_forgot_everything_is_told_anew(site: MakeSite, tmp_path: Path) -> None:
    first = one_server(tmp_path / "first")
    a = site("a", first.url)
    a.desk.add()
    a.at("2027-01-15T08:31:00Z")
    first.kill()
    other = Server(tmp_path / "other", port=first.port).start()
    try:
        a.set("2027-01-15T08:40:00Z")
        a.settle()
        assert a.states == ["08:40 submitted"]
    finally:
        other.kill()


# --- clocks that differ --------------------------------------------------------------------------


def test_a_node_that_is_ahead_waits_for_the_clock_of_who_leads(site: MakeSite) -> None:
    a, b = two(site)
    b.at("2027-01-15T09:35:00Z")  # 64 minutes ahead
    assert b.states == []
    a.at("2027-01-15T08:40:00Z", "2027-01-15T08:50:00Z")
    b.set("2027-01-15T09:55:00Z")
    b.turns_until(lambda: len(b.states) == 1 and "08:50" in b.states[0])
    assert b.states == ["08:40-08:50 x2 elsewhere a"]
    assert b.desk.runs == []


def test_a_leader_that_is_ahead_is_early_by_its_clock_and_runs_nothing_twice(
    site: MakeSite,
) -> None:
    a, b = two(site, lease_s=SHORT_S)
    a.at("2027-01-15T09:31:00Z", "2027-01-15T09:40:00Z", "2027-01-15T09:50:00Z")
    ran = set(a.desk.runs)
    assert {"09:40", "09:50"} <= ran
    for time in ("08:40", "08:50", "09:00", "09:10", "09:20", "09:30", "09:40", "09:50", "10:00"):
        b.set(f"2027-01-15T{time}:00Z")
        b.settle()
    assert set(b.desk.runs) & ran == set()
    assert sorted({*b.desk.runs, *ran})[-3:] == ["09:40", "09:50", "10:00"]


def killed_before_it_records(one: Site) -> None:
    """Take a turn in which the node holds a claim, and nothing else comes of it."""

    class Killed(BaseException):
        pass

    def die(_: Any) -> None:
        raise Killed

    one.desk.jobs.decide_due = die  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        one.at("2027-01-15T08:40:00Z")
    del one.desk.jobs.decide_due


def test_what_is_no_lease_and_no_claim_stops_nobody(site: MakeSite) -> None:
    a = site("a", lease_s=SHORT_S)
    a.desk.add(overlap="allow")
    (job,) = a.desk.jobs.shared()
    due = round(datetime.fromisoformat("2027-01-15T08:40:00Z").timestamp() * 1000)
    put(a, "LEASES", {"scheduler": b"[]"})
    put(a, "OCCURRENCES", {f"{job}.{due}": b"\xff", f"{job}.x": b"{}"})
    a.at("2027-01-15T08:40:00Z")
    a.settle()
    assert a.states == ["08:40 submitted"]


def put(one: Site, bucket: str, values: dict[str, bytes]) -> None:
    async def write(leases: KeyValue, claims: KeyValue) -> None:
        for key, value in values.items():
            await (leases if bucket == "LEASES" else claims).put(key, value)

    one.occurrences._call(write)
