"""Other journals are taken over, each line once, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

from prov.model import ProvDocument

from dino_os.memory_layer.skill_memory import SkillMemory
from dino_os.message_bus.bus import Bus
from dino_os.provenance import alerts
from dino_os.provenance.duty import ProvenanceDuty
from dino_os.provenance.following import follow
from dino_os.provenance.mapping import FOLLOWED
from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal
from engines.provenance import (
    Relation,
    explain,
    spans,
    to_otlp,
    to_prov_json,
    to_prov_n,
    violations,
)
from tests.audit.drivers import DRIVERS
from tests.conftest import REPOSITORY
from tests.provenance.lines import digest, run, three_runs


def sources(root: Path) -> list[tuple[str, int]]:
    """Journal and line of all that was taken over, from the record itself."""
    journal = RecordedJournal(root / "memory" / "provenance_log.jsonl")
    return [tuple(event["source"]) for event in journal.events() if "source" in event]


def test_runs_become_a_graph_and_following_again_adds_nothing(workspace: Path) -> None:
    three_runs(workspace)
    assert follow(Workspace(workspace)).events == 6
    again = Workspace(workspace)
    assert follow(again).events == 0
    assert sources(workspace) == [("runs", line) for line in range(1, 7)]
    graph = again.provenance.graph
    report, tide = graph.find("memory:report").id, graph.find("memory:tide").id
    assert tide == f"memory:tide@{digest('low')[:16]}"
    steps = [f"memory:report@{digest('fine')[:16]}", f"run:{'cc' * 16}", None, f"run:{'bb' * 16}"]
    path = graph.path(report, tide)
    assert path
    assert [path[0], path[1], None, path[3], path[4]] == [*steps, tide]
    below = {node.id for node, _ in graph.descendants(tide).nodes}
    assert {report, f"result:{'cc' * 16}@{digest('cc' * 16)[:16]}"} <= below
    assert f"run:{'aa' * 16}" not in below


def test_equal_contents_do_not_make_one_run_the_cause_of_another(workspace: Path) -> None:
    run(workspace, "aa" * 16)
    run(workspace, "bb" * 16, params_sha256=digest("aa" * 16))  # what the first returned
    home = Workspace(workspace)
    follow(home)
    assert home.provenance.graph.path(f"run:{'bb' * 16}", f"run:{'aa' * 16}") is None


def test_whoever_follows_and_is_killed_leaves_no_gap_and_no_double(workspace: Path) -> None:
    """At random moments, until one comes through: then each line was taken over once."""
    names = sorted(FOLLOWED)
    for name in names:
        journal = Journal(workspace / "memory" / f"{name}.jsonl")
        kind = next(iter(FOLLOWED[name]))
        for _ in range(3):
            run(workspace, os.urandom(16).hex())
        journal.append_many([(kind, {"n": n}) for n in range(5)])
        journal.append_many([("other", {"n": n}) for n in range(5)])
        journal.close()
    chance = random.Random(10)
    done, killed = False, 0
    while not done:
        child = os.fork()
        if not child:
            follow(Workspace(workspace))
            os._exit(0)
        # A moment by chance; later ones come further.
        time.sleep(chance.uniform(0, 0.01 + 0.02 * killed))
        os.kill(child, signal.SIGKILL)
        done = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        killed += not done
    assert killed > 1
    found = sources(workspace)
    assert len(found) == len(set(found))
    lines = RecordedJournal(workspace / "memory" / "runs.jsonl").events()
    runs = [event["seq"] for event in lines if "run_id" in event]
    assert [line for name, line in found if name == "runs"] == runs
    home = Workspace(workspace)
    assert home.provenance.verify_hash_chain()
    ends = {
        name: RecordedJournal(workspace / "memory" / f"{name}.jsonl").length() for name in names
    }
    assert {name: home.provenance.cursor(name).seq for name in names} == ends


def test_a_journal_in_anothers_place_is_read_from_its_beginning(workspace: Path) -> None:
    three_runs(workspace)
    follow(Workspace(workspace))
    for file in (workspace / "memory").glob("runs.*"):
        file.unlink()
    run(workspace, "dd" * 16)
    home = Workspace(workspace)
    assert follow(home).events == 3
    kinds = [event["kind"] for event in home.provenance.recent()][-3:]
    assert kinds == ["journal_replaced", "run_started", "run_finished"]


def test_lines_of_the_journal_in_its_place_are_other_lines(workspace: Path) -> None:
    """Also where others speak of them: a task was made of the second journal's message."""
    for number in (1, 2):
        for file in (workspace / "memory").glob("bus.*"):
            file.unlink()
        bus = Journal(workspace / "memory" / "bus.jsonl")
        bus.append("message_published", {"channel": f"c{number}", "message": number})
        follow(Workspace(workspace))
    Journal(workspace / "memory" / "engine_state.jsonl").append(
        "task_submitted", {"task_id": "bus:s#1", "payload": {}}
    )
    home = Workspace(workspace)
    follow(home)
    graph = home.provenance.graph
    said = {node.id: node.attributes for node in graph.nodes("message:")}
    assert said == {"message:1": {"channel": "c1"}, "message:1~2": {"channel": "c2"}}
    assert [edge.cause for edge in graph.touching("task:bus:s#1")] == ["message:1~2"]


def test_a_journal_that_is_gone_is_told_of(workspace: Path) -> None:
    three_runs(workspace)
    follow(Workspace(workspace))
    for file in (workspace / "memory").glob("runs.*"):
        file.unlink()
    assert "7 lines" in str(follow(Workspace(workspace)).problems["runs"])


def test_a_run_is_no_cause_of_itself_and_who_deleted_is_known(workspace: Path) -> None:
    home = Workspace(workspace)
    home.memory_store.add("crew", "Ada")
    memory = SkillMemory(home.memory_store)
    memory.add(key="tide", value=1)
    assert memory.get(key="tide") == 1
    assert memory.get(key="crew") == "Ada"
    memory.add(key="crew", value="Ada")
    memory.delete(key="crew")
    touched = memory.run_ended()["memory"]
    keys = {verb: [key for _, key, _ in found] for verb, found in touched.items()}
    assert keys == {"wrote": ["tide"], "read": ["crew"], "deleted": ["crew"]}
    end = {"run_id": "r", "skill": "s", "outcome": "ok", "duration_s": 1.0, "memory": touched}
    Journal(workspace / "memory" / "runs.jsonl").append("run_finished", end)
    follow(home)
    graph = home.provenance.graph
    assert not explain(graph, graph.find("memory:tide").id).circular
    ended = [e for e in graph.edges() if e.relation is Relation.INVALIDATED_BY and e.cause]
    assert [(e.effect, e.cause) for e in ended] == [(graph.find("memory:crew").id, "run:r")]
    assert violations(graph.statements()) == []


def test_a_journal_that_does_not_stand_holds_up_no_other(workspace: Path) -> None:
    three_runs(workspace)
    file = workspace / "memory" / "bus.jsonl"
    Journal(file).append("message_published", {"channel": "a", "message": 1})
    file.write_bytes(file.read_bytes().replace(b'"message":1', b'"message":2'))
    found = follow(Workspace(workspace))
    assert (found.events, list(found.problems)) == (6, ["bus"])


def test_what_an_older_version_wrote_otherwise_is_left_where_it_is(workspace: Path) -> None:
    Journal(workspace / "memory" / "runs.jsonl").append("run_finished", {"unheard": "of"})
    home = Workspace(workspace)
    assert follow(home).events == 0
    assert home.provenance.cursor("runs").seq == 2


def test_every_engine_is_followed_and_what_it_says_is_prov(workspace: Path) -> None:
    """No mapper fails on what the engines write; nothing is at once a thing and a doing."""
    home = Workspace(workspace)
    for name in FOLLOWED.keys() & DRIVERS.keys():
        for step in DRIVERS[name]():
            step(home)
    written = set()
    for name in FOLLOWED.keys() & DRIVERS.keys():
        for event in RecordedJournal(workspace / "memory" / f"{name}.jsonl").events():
            written.add(event["event_type"])
            if mapper := FOLLOWED[name].get(event["event_type"]):
                mapper(name, event)
    # What was renamed where it is written would be followed no longer.
    code = "".join(
        path.read_text()
        for top in ("dino_os", "engines")
        for path in (REPOSITORY / top).rglob("*.py")
        if "provenance" not in path.parts
    )
    named = {kind for kinds in FOLLOWED.values() for kind in kinds}
    assert {kind for kind in named - written if f'"{kind}"' not in code} == set()
    follow(home)
    seen = {name for name, _ in sources(workspace)}
    assert seen >= FOLLOWED.keys() & DRIVERS.keys() - {"runs"}
    said = home.provenance.graph.statements()
    assert violations(said) == []
    document = to_prov_json(said)
    assert not document["activity"].keys() & document["agent"].keys()
    ProvDocument.deserialize(content=json.dumps(document), format="json")


def test_plans_by_rules_are_derivations(workspace: Path) -> None:
    home = Workspace(workspace)
    home.trajectories.add_facts([("dock", True), ("tide", True)])
    home.trajectories.add_rule("sail", ["dock", "tide"], "sea", 2.0)
    home.trajectories.add_rule("fish", ["sea"], "catch")
    home.trajectories.plan("catch")
    follow(home)
    above = {node.id for node, _ in home.provenance.graph.ancestors("fact:catch").nodes}
    assert above == {"fact:sea", "fact:dock", "fact:tide"}


def test_a_duty_follows_and_tells_what_is_odd_once(home: Path) -> None:
    for number in range(30):
        run(home, f"{number:032x}")
    workspace = Workspace(home)
    duty = ProvenanceDuty(workspace)
    assert duty.has_begun()
    assert duty.turn()
    assert workspace.provenance.cursor("runs").seq == 61
    said = Bus.channel_history(workspace.bus, alerts.CHANNEL)
    assert {found["message"]["kind"] for found in said} == {"burst"}
    assert alerts.send_alerts(Workspace(home).provenance, lambda: workspace.bus) == 0
    duty.finish()
    assert len(workspace.bus.channel_history(alerts.CHANNEL)) == len(said)


def test_secrets_and_personal_data_are_in_no_file_of_it(workspace: Path) -> None:
    """Neither of the vault's nor by their form; also not in identifiers, which are found by both."""
    home = Workspace(workspace)
    home.security.set_key("weather", "canary-9f8e7d6c5b")
    run(workspace, "aa" * 16, wrote={"mail/ann@example.com": "x"})
    home.provenance.tap_event("say", {"text": "canary-9f8e7d6c5b", "to": "bob@example.com"})
    home.provenance.add_provenance_edge("bob@example.com", "canary-9f8e7d6c5b", "r", "run")
    follow(home)
    ids = home.provenance.get_provenance_graph()["nodes"]
    files = [*(workspace / "memory").glob("provenance*")]
    assert len(files) > 1
    for file in files:
        held = file.read_bytes()
        assert not [secret for secret in (b"canary-9f", b"ann@ex", b"bob@ex") if secret in held]
    assert not any("@example" in one for one in ids)


def test_what_looks_like_an_id_of_ours_is_looked_into_even_so(workspace: Path) -> None:
    """A key of the memory is anybody's text, whatever its digits; only our own ids are let by."""
    card, account = "4111111111111111", "DE89370400440532013000"
    aws, mail = "AKIAQ3EGRZ5N7WXKPLMT", b"zelda.canary@example.org".hex()
    sixteen, thirty_two = b"z@example.online".hex(), b"zelda.canary@this-is.example.org".hex()
    canaries = (card, account, aws, mail, sixteen, thirty_two)
    home = Workspace(workspace)
    for key in canaries:
        home.memory_store.add(key, 1)
    touched = dict.fromkeys(canaries, "x")
    run(workspace, "aa" * 16, wrote=touched, read={f"{one}@{card}": "x" for one in canaries})
    domain = home.provenance
    for one in canaries:
        for kind in ("memory", "order", "message", "key", "file", "run", "data", "result"):
            domain.add_provenance_edge(f"{kind}:{one}", f"{kind}:{one}@{card}", one, one)
        domain.tap_event(one, {one: one}, one, outcome=one)
    domain.tap_event("x", {}, sixteen, inputs=[thirty_two], outputs=[f"sha256:{thirty_two}"])
    follow(home)
    said = home.provenance.graph.statements()
    journal = RecordedJournal(workspace / "memory" / "provenance_log.jsonl")
    exports = [
        json.dumps(to_prov_json(said)),
        to_prov_n(said),
        json.dumps(to_otlp(spans(lambda: (e for e in journal.events() if "kind" in e)), {})),
        json.dumps(home.provenance.export_audit()),
    ]
    held = [*(file.read_bytes() for file in (workspace / "memory").glob("provenance*"))]
    held += [text.encode() for text in exports]
    for canary in canaries:
        assert not any(canary.encode() in one for one in held)
    ours = f"run:{'aa' * 16}"
    assert home.provenance.graph.node(ours).id == ours
