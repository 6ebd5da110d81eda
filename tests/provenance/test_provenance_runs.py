"""Skills that tap, and runs that say what they touched, in whose trace: one real run of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest

from dino_os import run_context, tap
from dino_os.broker import Broker
from dino_os.errors import Denied, InvalidInput
from dino_os.provenance.following import follow
from dino_os.provenance.taps import SkillTap
from dino_os.run_context import RunContext
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal
from engines.provenance import EVENT_TAPPED, Edge, Relation, Span, spans, to_otlp
from engines.trace import context_in, span_of, trace_context
from tests.conftest import Dino
from tests.provenance.lines import digest, run, three_runs

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SHA, CARD = "0f" * 32, "4111111111111111"
SKILL = """
import os
from dino_os import skill, tap
from dino_os.memory_layer import MemoryLayer
from dino_os.message_bus import MessageBus

@skill
def tide() -> str:
    memory = MemoryLayer()
    memory.add("tide", {"by": memory.get("crew")})
    tap("level_read", {"mail": "ann@example.com", "level_m": 2.5}, outcome="ok")
    MessageBus().publish("tides", 1)
    return os.environ["TRACEPARENT"]
"""


def test_a_run_says_what_it_touched_and_what_its_skill_tapped(workspace: Path, dino: Dino) -> None:
    (workspace / "skills" / "tide.py").write_text(dedent(SKILL))
    Workspace(workspace).memory_store.add("crew", "Ada")
    done = dino("run", "tide", "--json", env={"TRACEPARENT": TRACE}).json
    run_id = done["run_id"]
    sent = trace_context(TRACE)
    assert done["result"] == str(context_in(run_id, TRACE))
    home = Workspace(workspace)
    (tapped,) = home.provenance.recent()
    assert (tapped["kind"], tapped["run"], tapped["outcome"]) == ("skill.level_read", run_id, "ok")
    assert tapped["data"]["level_m"] == 2.5
    assert "ann@" not in json.dumps(tapped)
    follow(home)
    graph = home.provenance.graph
    assert graph.path(graph.find("memory:tide").id, graph.find("memory:crew").id)
    # The run and the memory's own journal speak of the same revisions.
    assert len(graph.nodes("memory:tide@")) == len(graph.nodes("memory:crew@")) == 1
    (span,) = spans(home.provenance.recent)
    assert (span.trace_id, span.parent_span_id) == (sent.trace_id, sent.span_id)
    assert (span.name, span.status) == ("tide", 1)
    journal = RecordedJournal(workspace / "memory" / "bus.jsonl")
    (said,) = [event for event in journal.events() if event["event_type"] == "message_published"]
    assert said["headers"]["traceparent"] == done["result"]
    message, by = f"message:{said['seq']}", f"run:{run_id}"
    assert graph.path(message, by) == [message, by]


def test_a_program_taps_with_the_same_word(home: Path) -> None:
    tap("checked", {"n": 1}, duration_s=0.5, inputs=(SHA,))
    assert tap.flush() == 1
    (event,) = Workspace(home).provenance.recent()
    assert (event["kind"], event["duration_s"], event["inputs"]) == ("checked", 0.5, [SHA])
    with pytest.raises(InvalidInput, match="outcome"):
        tap("checked", outcome="splendid")
    with pytest.raises(InvalidInput):
        tap("", {})
    for wrong in (CARD, SHA.upper(), f"sha1:{CARD}", 7, [SHA]):
        with pytest.raises(InvalidInput) as refused:
            tap("checked", inputs=(wrong,))
        assert CARD not in str(refused.value)


def test_a_skill_needs_the_permission_and_speaks_for_no_other(workspace: Path) -> None:
    home = Workspace(workspace)
    parts = {"tap": lambda: SkillTap(home.provenance, "tide")}
    call = {
        "part": "tap",
        "method": "tap",
        "arguments": {"event_type": "x", "data": {"skill": "y"}},
    }
    broker = Broker(parts, home.security, "skill:tide")
    assert broker.answer(call)["error"]["type"] == Denied.__name__
    home.security.lend("skill:tide", ["provenance_tap"])
    with run_context.within(RunContext("r1", TRACE)):
        assert broker.answer(call) == {"answer": None}
        wrong = {**call, "arguments": {"event_type": "x", "data": {}, "run": "another"}}
        assert "error" in broker.answer(wrong)
        no_hash = {"event_type": "x", "data": {}, "inputs": [CARD]}
        assert broker.answer({**call, "arguments": no_hash})["error"]["type"] == "InvalidInput"
    assert home.provenance.recent() == []
    broker.end()
    (event,) = home.provenance.recent()
    assert (event["kind"], event["run"], event["data"]["skill"]) == ("skill.x", "r1", "tide")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no trace",
        TRACE.upper(),
        TRACE.replace("4bf92f", "zzzzzz"),
        "ff" + TRACE[2:],
        TRACE + "-more",
        "00-" + "0" * 32 + TRACE[35:],
        TRACE[:36] + "0" * 16 + "-01",
    ],
)
def test_what_is_no_trace_is_ignored(text: str | None) -> None:
    assert trace_context(text) is None


def test_a_trace_goes_on_and_a_later_versions_is_read() -> None:
    assert str(trace_context(TRACE)) == TRACE
    assert trace_context("01" + TRACE[2:] + "-more") == trace_context(TRACE)
    inner = context_in("run", TRACE)
    assert (inner.trace_id, inner.span_id) == (trace_context(TRACE).trace_id, span_of("run"))
    assert context_in("run", None) == context_in("run", "nonsense")


# --- spans ---------------------------------------------------------------------------------------


def found_spans(root: Path) -> list[Span]:
    home = Workspace(root)
    follow(home)
    journal = RecordedJournal(root / "memory" / "provenance_log.jsonl")
    tapped = [event for event in journal.events() if event["event_type"] == EVENT_TAPPED]
    return [*spans(lambda: tapped)]


def test_runs_within_runs_are_spans_within_spans(workspace: Path) -> None:
    run(workspace, "aa" * 16)
    run(workspace, "bb" * 16, parent_run="aa" * 16, outcome="error")
    outer, inner = found_spans(workspace)
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.span_id)
    assert (outer.parent_span_id, outer.status, inner.status) == ("", 1, 2)
    assert outer.end_ns - outer.start_ns == 500_000_000
    (told,) = to_otlp([inner], {"service.instance.id": "w"})["resourceSpans"]
    assert told["scopeSpans"][0]["spans"][0]["traceId"] == outer.trace_id


# --- the commands --------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "lasted"), [(1e9, 1e300), (-5.0, 1.0), (1e300, 1e300), (0.5, 2)])
def test_a_span_is_within_what_the_protocol_can_say(at: float, lasted: float) -> None:
    (found,) = spans(lambda: [{"kind": "k", "run": "r", "at": at, "duration_s": lasted, "seq": 1}])
    assert 0 <= found.start_ns <= found.end_ns < 1 << 64


def test_what_waits_when_a_program_forks_is_recorded_once(workspace: Path) -> None:
    ours = Workspace(workspace).tap
    ours.tap("before", {})
    child = os.fork()
    if not child:
        ours.tap("within", {})
        os._exit(ours.flush())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert ours.flush() == 1
    kinds = Workspace(workspace).provenance.get_status()["kinds"]
    assert kinds == {"before": 1, "within": 1}


def test_the_commands_answer_for_people_and_for_programs(workspace: Path, dino: Dino) -> None:
    three_runs(workspace)
    say = lambda *words, **more: dino("provenance", *words, **more)  # noqa: E731
    assert say("why", "cc" * 16, "--json").json["node"]["id"] == f"run:{'cc' * 16}"
    assert say("--json").json["events"] == 6
    assert "run_finished" in say().out
    assert [e["run"] for e in say("tail", "--run", "aa", "--json").json["events"]] == [
        "aa" * 16
    ] * 2
    told = say("why", "memory:report").out
    assert [line.strip().split()[0] for line in told.splitlines()[:2]] == [
        "memory:report@" + told.split("@")[1].split()[0],
        "wasGeneratedBy",
    ]
    assert len(say("why", "memory:report", "--json").json["steps"]) == 6
    assert say("why", "memory:report", "--from", "memory:tide", "--json").json["path"]
    assert say("why", "memory:tide", "--from", "memory:plan", code=1).out.startswith("memory:plan@")
    assert f"run:{'cc' * 16}" in say("impact", "memory:tide", "--show", "0").out
    end = Edge(Relation.INVALIDATED_BY, f"memory:tide@{digest('low')[:16]}", "run:over")
    Workspace(workspace).provenance.add_statements(edges=[end])
    assert say("impact", "memory:tide", "--json").json["ended_by"] == ["run:over"]
    found = say("diff", "run:bb", "run:cc", "--json").json
    assert found["parts"]["inputs"]["differ"]
    assert "upstream" in say("diff", "run:bb", "run:cc").out
    assert say("audit", "--json").json["hash_chain_valid"]
    assert "verifies" in say("audit").out
    assert say("why", "nothing", code=2).err.startswith("dino: nothing recorded")


def test_what_is_exported_is_imported_elsewhere(workspace: Path, dino: Dino) -> None:
    three_runs(workspace)
    other = workspace / "other"
    (other / "memory").mkdir(parents=True)
    (other / "config.yaml").write_text("")
    file = workspace / "graph.json"
    dino("provenance", "export", "--out", file)
    there = ("--home", other, "provenance")
    assert dino(*there, "audit").out == "nothing is recorded yet\n"
    assert dino(*there, "import", file, "--json").json["nodes"] > 10
    assert dino(*there, "export").out == file.read_text()
    part = dino("provenance", "export", "memory:plan", "--format", "prov-n").out
    assert part.startswith("document\n")
    assert "memory:report@" in part
    assert "memory:crew@" not in part
    for form, begin in (("svg", "<svg"), ("dot", "digraph"), ("mermaid", "flowchart")):
        assert dino("provenance", "graph", "memory:plan", "--format", form).out.startswith(begin)
    assert dino("provenance", "graph", "--json").json["edges"]
    assert dino("provenance", "export", "--format", "otlp").json["resourceSpans"]
    assert dino("provenance", "check", file, "--json").json == {"valid": True, "violations": []}
    file.write_text('{"entity": {"a": {}}, "activity": {"a": {}}}')
    assert "at once" in dino("provenance", "check", file, code=1).out
    for deep in (2_000, 100_000):
        nested = f"{'[' * deep}{']' * deep}"
        file.write_text(f'{{"entity": {{"a": {{"x": {nested}}}}}}}')
        assert "nested too deep" in dino(*there, "import", file, code=2).err
    file.write_text("[]")
    assert "is an object" in dino(*there, "import", file, code=2).err
