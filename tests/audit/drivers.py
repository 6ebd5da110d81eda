"""For each engine of a workspace: real commands, one after the other, that use all it can keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dino_os.cluster.neighbours import Keys
from dino_os.outbox import Address, Draft
from dino_os.scheduler.ledger import Ended
from dino_os.workspace import Workspace
from engines.assign import AgentProfile, AssignableTask
from engines.audit import Checkpoint, ForkFound, Note, SignerKey
from engines.entity_manager import RestartLimits
from engines.journal import Position, RecordedJournal
from engines.merkle import leaf_hash
from engines.metrics import AlertRule, Point, read_expression
from engines.personas import PersonaSignal
from engines.provenance import Kind, Node, Tapped
from engines.trajectory import Fact, Rule
from engines.zone.tracking import TrackingRules
from tests.audit import agent_driver, delivery_driver, gate_driver, order_driver, queue_driver
from tests.desk import ZONES

Step = Callable[[Workspace], Any]
# Stands somewhere in the state that each of them leaves.
MARK = "marker"
WHEN = datetime(2027, 1, 15, 10, 30, 0, 250_000, tzinfo=UTC)
SIGNER = SignerKey.new(f"dino.local/{MARK}")


def zones() -> Iterator[Step]:
    event = partial(_zone_event, "Mole")
    yield lambda w: w.zones.register_zones(ZONES)
    yield lambda w: w.zones.register_zone({**ZONES[0], "name": "Pier", "metadata": {"": [1, {}]}})
    yield event(kind="enter", note=MARK, timestamp=WHEN)
    yield event(kind="sample", value=0.1, metadata={"a": [1.5, None, {"b": "ü"}]})
    for number in range(6):  # more than are remembered
        yield event(kind="enter", note=f"{MARK} {number}", change=number)
    yield event(kind="exit")
    yield lambda w: w.zones.register_zone({**ZONES[0], "capacity": 9, "tags": ["wet"]})
    triangle = {"polygons": [[[[0, 0], [4, 0], [0, 4]]]], "coordinate_system": "wgs84"}
    yield lambda w: w.zones.register_zone({"name": "Point", "boundary": triangle, "capacity": 3})
    yield lambda w: (w.zones.nest("Mole", "Point"), w.zones.nest("Pier", "Mole"))
    yield _track([(1.0, 0.5), (9.0, 9.0), (1.5, 1.0)])
    yield _track([(9.0, 9.0), (0.5, 0.5)], margin=1.0, exit_after=2.0, dwell=1.0, lateness=1.0)
    yield lambda w: w.zones.remove_zone("Pier")
    yield lambda w: w.zones.close_batch("cycle-1")


def _track(points: list[tuple[float, float]], **rules: float) -> Step:
    names, at = [MARK, "pump"], [1e9 + 2 * number for number in range(2 * len(points))]
    columns = names * len(points), at, [point for point in points for _ in names]
    return lambda w: w.zones.track(*columns, rules=TrackingRules(**rules))


def _zone_event(zone: str, **what: Any) -> Step:
    return lambda w: w.zones.record_event(zone, **what)


def sectors() -> Iterator[Step]:
    body = {"kind": "station", "mass_kg": 1e6, "velocity_kms": 3, "tags": ["dock"]}
    bodies = [{"name": name, **body} for name in "ab"]
    route = {"identifier": "r", "origin": "a", "destination": "b", "delta_v_kms": 2}
    north = {"name": "North", "bodies": bodies, "routes": [{**route, "congestion": 0.9}]}
    event = {"sector_name": "North", "description": MARK, "impact_score": 0.7}
    yield lambda w: w.sectors.upsert_sector({**north, "metadata": {"kept": True}})
    yield lambda w: w.sectors.record_event({**event, "severity": "alert", "timestamp": WHEN})
    yield lambda w: w.sectors.ingest_events([event] * 4)
    yield lambda w: w.sectors.record_event({**event, "sector_name": "new", "metadata": {"n": 1}})
    yield lambda w: w.sectors.stabilise("North")
    wanted = {"network": {"trips": [{"origin": "a", "destination": "b", "load": 0.4}]}}
    yield lambda w: w.sectors.upsert_sector({**north, "metadata": wanted})
    yield lambda w: w.sectors.relieve("North")
    yield lambda w: w.sectors.configure_intervention_threshold(0.4)
    yield lambda w: w.sectors.close_batch("cycle-1")


def states() -> Iterator[Step]:
    signal = {"state": "Morale", "intensity": 0.5, "tags": ["rain", MARK]}
    yield lambda w: w.states.register({"name": "Morale", "baseline": -0.5, "warmup": 1})
    yield lambda w: w.states.capture({**signal, "metadata": {"who": ["Ada"]}})
    yield lambda w: w.states.capture({**signal, "state": "trust", "timestamp": WHEN})
    for number in range(5):
        yield _capture({**signal, "intensity": number / 10, "momentum": -0.1})
    yield lambda w: w.states.register({"name": "Morale", "ceiling": 0.5})


def _capture(signal: dict[str, Any]) -> Step:
    return lambda w: w.states.capture(signal)


def assignments() -> Iterator[Step]:
    tasks = [AssignableTask(f"T-{n}", "pump", 0.5, ("pump",), 3) for n in range(4)]
    agents = [AgentProfile(MARK, ("pump",), 8)]
    yield lambda w: w.assignments.decide(tasks, agents)
    yield lambda w: w.assignments.decide(tasks, agents, limit=1)
    yield lambda w: w.assignments.decide([], [])
    yield lambda w: w.assignments.decide(tasks[:3], agents)


def cycles() -> Iterator[Step]:
    agents = [AgentProfile("Ada", ("pump",), 8)]
    for number in range(3):
        signal = PersonaSignal(
            persona="risk",
            summary=f"{MARK} {number}",
            zone="Mole",
            sector="North",
            severity=0.9,
            required_skills=("pump",),
            zone_configuration=ZONES[0],
        )
        yield _cycle([signal], agents)


def _cycle(signals: list[PersonaSignal], agents: list[AgentProfile]) -> Step:
    return lambda w: w.orchestrator().plan_cycle(signals, agents)


def checkpoints() -> Iterator[Step]:
    witness = SignerKey.new(f"witness.example/{MARK}")

    def sign(workspace: Workspace) -> None:
        workspace.journal("notes").append("noted", {"n": 1})
        notes = RecordedJournal(workspace.memory / "notes.jsonl")
        workspace.checkpoints.sign(notes, "dino.local/x/notes", SIGNER)

    def cosign(workspace: Workspace) -> None:
        text = workspace.checkpoints.latest_or_raise("notes").checkpoint.text
        workspace.checkpoints.add_cosignatures("notes", [witness.cosign(text, 7)])

    yield lambda w: w.checkpoints.introduce(SIGNER.verifier)
    yield sign
    yield lambda w: w.checkpoints.trust_witness(witness.cosigner)
    yield cosign
    yield sign


def witness() -> Iterator[Step]:
    def cosign(workspace: Workspace, size: int, old: int, mark: bytes = b"") -> None:
        text = Checkpoint(f"{SIGNER.name}/zones", size, leaf_hash(mark)).text
        note = Note(text, (SIGNER.sign(text),))
        workspace.witness.cosign(note, SIGNER, old_size=old)

    def fork(workspace: Workspace) -> None:
        try:
            cosign(workspace, 1, 1, b"another")
        except ForkFound:
            return
        raise AssertionError("a fork was signed")

    yield lambda w: w.witness.trust(SIGNER.name, SIGNER.verifier)
    yield lambda w: cosign(w, 1, 0)
    yield fork
    yield lambda w: cosign(w, 1, 1)


def neighbours() -> Iterator[Step]:
    keys, others = Keys("dino.local/a", "log", "witness"), Keys("dino.local/a", MARK, "witness")
    for node in ("a", "b"):  # the second comes with the origin of the first
        yield _meet(node, keys if node == "a" else others)
    yield _meet("a", others)
    yield lambda w: w.neighbours.trust("a")
    for by_us in (True, False):
        yield _refuse("a", "zones", MARK, by_us=by_us)
    yield lambda w: w.neighbours.agree("a", "zones", by_us=False)


def _meet(node: str, keys: Keys) -> Step:
    return lambda w: w.neighbours.meet(node, keys)


def _refuse(node: str, journal: str, why: str, *, by_us: bool) -> Step:
    return lambda w: w.neighbours.refuse(node, journal, why, by_us=by_us)


def scheduler() -> Iterator[Step]:
    hourly = {"overlap": "cancel_other", "jitter_s": 9, "misfire": "fire_all", "priority": "low"}
    yield lambda w: w.jobs.add_job("tide", "hello", "interval", minutes=5)
    yield lambda w: w.jobs.add_job(
        MARK, "a.b:c", "cron", hour=9, tz="Europe/Berlin", params={"n": 1}, **hourly
    )
    yield lambda w: w.jobs.add_job("once", "hello", "at", at="2999-01-15T10:00:00Z")
    yield lambda w: w.jobs.pause("tide")
    yield lambda w: w.jobs.pause(MARK, until="2999-01-15T10:00:00Z")
    yield lambda w: w.jobs.resume("tide")
    yield lambda w: w.jobs.run_now("once")
    yield lambda w: w.jobs.decide_due()
    yield lambda w: w.jobs.submit(lambda wanted: {one.task_id: None for one in wanted})
    yield lambda w: w.jobs.settle(lambda _: Ended("error", 1.5, 2.5, "it says no"))
    for policy in ("queue_all", "skip"):
        yield _change("once", overlap=policy)
        yield lambda w: w.jobs.run_now("once")
        yield lambda w: w.jobs.decide_due()
    yield lambda w: w.jobs.resume(MARK, skip_missed=True)
    yield lambda w: w.jobs.heed_clock(-301.5)
    yield lambda w: w.jobs.for_skill("hello", "skill:hello").add_job(
        "own", "hello", "interval", minutes=5
    )
    yield lambda w: w.jobs.for_skill("hello", "skill:hello").pause("own")
    yield _look_at_a_clock_that_was_ahead
    yield lambda w: w.jobs.remove_job("once")
    yield lambda w: w.jobs.submit(lambda wanted: {one.task_id: None for one in wanted})


def _look_at_a_clock_that_was_ahead(w: Workspace) -> None:
    clock = w.jobs.clock
    w.jobs.clock = lambda: clock() - 86_400.0
    w.jobs.heed_clock()
    w.jobs.clock = clock


def _change(name: str, **policies: Any) -> Step:
    at = "2999-01-15T10:00:00Z"
    return lambda w: w.jobs.add_job(name, "hello", "at", at=at, replace=True, **policies)


def security_log() -> Iterator[Step]:
    hash_of_source = "a" * 64
    head = {"vault_id": "v", "generation": 1, "mac": "m", "sha256": hash_of_source}
    yield lambda w: w.security_log.grant("skill:tide", "memory_add", entity="user")
    yield lambda w: w.security_log.grant("skill:tide", f"key:{MARK}", entity="user")
    yield lambda w: w.security_log.note("key_accessed", "skill:tide", key=MARK)
    yield lambda w: w.security_log.revoke("skill:tide", "memory_add", entity="user")
    yield lambda w: w.security_log.note("key_set", "user", key="weather", vault=head)
    yield lambda w: w.security_log.grant_skill("tide", {"reads": ["a"]}, hash_of_source, by="ada")
    yield lambda w: w.security_log.grant_skill("tides", {"reads": ["b"]}, None, by="ada")
    yield lambda w: w.security_log.override_sandbox("tide", hash_of_source, "because", by="ada")
    yield lambda w: w.security_log.revoke_skill("tides", by="ada")


def trajectory_log() -> Iterator[Step]:
    parties = {"bearers": {"Ada": 3, MARK: 1}, "beneficiaries": ["Ben"]}
    start = {Fact("dock"), Fact("tide", 2.5)}
    yield lambda w: w.trajectories.add_fact("dock")
    yield lambda w: w.trajectories.add_facts([Fact("tide", 2.5), Fact("fog", False)])
    yield lambda w: w.trajectories.add_rule("sail", ["dock", "tide"], "sea", 2, **parties)
    yield lambda w: w.trajectories.add_rules(
        [Rule(MARK, ("sea",), "fish"), Rule("buy", (), "fish")]
    )
    yield lambda w: w.trajectories.plan("fish")
    yield lambda w: w.trajectories.beam_search_optimal_spine(start)
    yield lambda w: w.trajectories.add_rule("sail", ["dock"], "sea", 0.1)
    yield lambda w: w.trajectories.remove_rule("buy")
    yield lambda w: w.trajectories.remove_fact("fog")


def entities() -> Iterator[Step]:
    limits = RestartLimits(max_failures=1, max_corrections=1)
    work = {"skill": MARK, "every_s": 5, "params": {"": ["ü", None]}, "limits": limits}
    yield lambda w: w.entities.spawn("tide", "worker", {"storage": 1}, **work)
    yield lambda w: w.entities.spawn("clerk", "analyzer", skill="s", channel=MARK, position=3)
    yield lambda w: w.entities.spawn("ended", "monitor")
    yield lambda w: (w.entities.awaken("tide"), w.entities.awaken("clerk", position=4))
    yield lambda w: w.entities.plan_run("clerk", message=7)
    yield lambda w: w.entities.offline_adapt("clerk", reason=MARK)
    yield lambda w: (w.entities.back_online("clerk"), w.entities.retry_run("clerk", 1))
    for number in (1, 2):  # the second is one too many
        yield _failed_run(number)
    yield lambda w: w.entities.set_health("clerk", 12.5)
    yield lambda w: w.entities.end_run("clerk", 1, "ok")
    yield lambda w: w.entities.deactivate("ended")
    yield lambda w: w.entities.alert_sent(1)
    yield lambda w: (w.entities.read_on("clerk", 9), w.entities.lose_messages("clerk", 10, 12))
    yield lambda w: (w.entities.reconcile(), w.entities.heartbeats(["clerk"], at_least_s=-1))


def runs() -> Iterator[Step]:
    for number in range(3):
        yield _counted(MARK if number else "report", number)


def _counted(key: str, number: int) -> Step:
    return lambda w: w.run_ledger.note(key, f"run-{number}")


def _failed_run(number: int) -> Step:
    def step(workspace: Workspace) -> None:
        workspace.entities.plan_run("tide")
        workspace.entities.end_run("tide", number, "error", error=MARK)
        workspace.entities.recover("tide")

    return step


def cycle_runs() -> Iterator[Step]:
    facts = {"name": MARK, "file": "cycle.yaml", "started_by": "ada"}
    desks = {"Ada": {"skill": None, "params": {}, "outbox": {"kind": "bus", "target": "a"}}}
    marks = {
        "content": {"in/a.csv": "ab", "in/b.csv": "cd"},
        "web": {"etag": '"1"', "url": "http://x/"},
        "alerts": {"f": [1.5, False]},
        "identifiers": ["C-1"],
    }
    source = {"source": "calls", "kind": "glob", "outcome": "read", "marks": marks}
    none = {**source, "marks": {"alerts": {"f": [1.5, True]}}}
    yield lambda w: w.cycle_runs.start("1", desks=desks, sources=[source], **facts)
    yield lambda w: w.cycle_runs.undone("1", "it crashed")
    yield lambda w: w.cycle_runs.start("2", desks=desks, sources=[source], **facts)
    yield lambda w: w.cycle_runs.planned("2", 1)
    yield lambda w: w.cycle_runs.submitted("2", 1, [{"task": "C-1", "reason": MARK}])
    yield lambda w: w.cycle_runs.queued("2", 1, 2)
    yield lambda w: w.cycle_runs.handed_over("2")
    yield lambda w: w.cycle_runs.moved({"calls": ["in/a.csv"]})
    yield lambda w: w.cycle_runs.idle("3", sources=[none], **facts)
    yield lambda w: w.cycle_runs.start("4", desks=desks, sources=[source], **facts)


def outbox() -> Iterator[Step]:
    def draft(id_: str, to: str, key: str | None = None) -> Draft:
        return Draft(id_, f"key-{id_}", Address.parse(to, key), {"summary": MARK})

    bus = [draft(name, "bus:duty") for name in "abcd"]
    hook = draft("e", "webhook:http://x.example/", "key")
    yield lambda w: w.outbox.queue(bus, batch="cycle:1")
    yield lambda w: w.outbox.queue([hook], batch="cycle:2")
    yield lambda w: w.outbox.begin(["a", "b"], {"seq": 7})
    yield lambda w: w.outbox.delivered(["a"])
    yield lambda w: w.outbox.failed(["e", "c"], "offline", answered=False)
    yield lambda w: w.outbox.failed(["e", "b"], MARK, answered=True, after_s=9.0)
    for _ in range(12):
        yield lambda w: w.outbox.failed(["d"], MARK, answered=True)
    yield lambda w: w.outbox.resend("d")
    for _ in range(12):
        yield lambda w: w.outbox.failed(["b"], MARK, answered=True)


def offline_log() -> Iterator[Step]:
    facts = {"ok": True, "docs_written": 3, "end_last_seq": "5-x"}
    drill = {"survived": 1, "met_outage": 1}
    yield lambda w: w.offline_log.unreached("push", f"https://{MARK}.site/desk", "refused")
    yield lambda w: w.offline_log.unreached("pull", f"https://{MARK}.site/desk", "refused")
    yield lambda w: w.offline_log.synced("push", f"https://{MARK}.site/desk", **facts)
    yield lambda w: w.offline_log.simulated(ok=True, hours=24, seed=1, faults={"": 1}, **drill)


def metrics_log() -> Iterator[Step]:
    rule = AlertRule("flow", read_expression("resource_flow < 80"), summary=MARK)
    low, high = ([Point("resource_flow", {}, value)] for value in (70.0, 90.0))
    yield lambda w: w.metrics_log.take({"resource_flow": 70.0, "nav_velocity": None})
    yield lambda w: w.metrics_log.judge([rule], low)
    yield lambda w: w.metrics_log.told("flow", w.metrics_log.untold["flow"])
    yield lambda w: w.metrics_log.take({MARK: 1.5})
    yield lambda w: w.metrics_log.judge([rule], high)
    yield lambda w: w.metrics_log.judge([replace(rule, name="other")], low)


def provenance_log() -> Iterator[Step]:
    wrote = Tapped("run_finished", 1e9, "r", duration_s=0.5, outcome="ok", data={"who": MARK})
    node = Node(Kind.ACTIVITY, f"run:{MARK}", {"skill": "tide"})
    yield lambda w: w.provenance.tap_event("tide_read", {"who": MARK, "level_m": 2.5}, "run-1")
    yield lambda w: w.provenance.add_provenance_edge("dock", "sea", "sail", MARK, cost=2)
    yield lambda w: w.provenance.add_statements([node], namespaces={"ex": "http://ex.org/"})
    yield lambda w: w.provenance.tap([wrote] * 30)  # a burst
    yield lambda w: w.provenance.follow("runs", Position(), [wrote], Position(3, "a" * 64, 90))
    yield lambda w: w.provenance.append([], dropped=7)
    yield lambda w: w.provenance.alerts_told(w.provenance.alerts[0]["seq"])


def llm_queue() -> Iterator[Step]:
    ids: list[str] = []

    def queue(w: Workspace) -> None:
        ids.append(w.llm_queue.queue(MARK, {"labels": [MARK]}, by=MARK, reason=MARK))

    for _ in range(4):
        yield queue
    yield lambda w: [w.llm_queue.begin(one, MARK) for one in ids]
    yield lambda w: w.llm_queue.failed(ids[0], MARK)
    yield lambda w: w.llm_queue.failed(ids[1], MARK, for_good=True)
    yield lambda w: w.llm_queue.answered(ids[2], MARK)
    yield lambda w: w.llm_queue.drop(ids[3], by=MARK)


DRIVERS: dict[str, Callable[[], Iterator[Step]]] = {
    "zones": zones,
    "sectors": sectors,
    "states": states,
    "assignments": assignments,
    "trajectory_log": trajectory_log,
    "entities": entities,
    "cycles": cycles,
    "cycle_runs": cycle_runs,
    "outbox": outbox,
    "checkpoints": checkpoints,
    "witness": witness,
    "neighbours": neighbours,
    "orders": lambda: order_driver.orders(MARK),
    "sandbox_payments": lambda: order_driver.sandbox_payments(MARK),
    "engine_state": lambda: queue_driver.steps(MARK),
    "scheduler": scheduler,
    "runs": runs,
    "security_log": security_log,
    "offline_log": offline_log,
    "gate_log": lambda: gate_driver.steps(MARK),
    "bus_deliveries": lambda: delivery_driver.steps(MARK),
    "metrics_log": metrics_log,
    "provenance_log": provenance_log,
    "llm_queue": llm_queue,
    "agent_log": lambda: agent_driver.steps(MARK),
}
