"""The cycle file is read strictly: what does not fit is named with its file, line and path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput, NotFound
from dino_os.outbox import Address
from dino_os.planning.cycle_file import Cycle, load_cycle
from dino_os.workspace import Workspace
from tests.cycles.duty import write_duty


def load(folder: Path) -> Cycle:
    return load_cycle(folder / "cycle.yaml", Workspace(folder).plugins.skills().find)


WHOLE = """\
name: duty
zones: zones.yaml
sectors: sectors.yaml
agents:
  - {name: Robot, skills: [pump], available_hours: 8, skill: work, params: {shift: night}}
  - name: Ada
    skills: [check]
    available_hours: 8
    outbox: {webhook: "https://x.example/in", key: hook}
  - {name: Bo, skills: [check], available_hours: 8}
options: {limit: 5}
outbox: file:out.jsonl
sources:
  - {name: calls, file: calls.csv, map: map.yaml, required: true}
  - {glob: "in/*.csv", map: map.yaml, done: move-to done}
  - name: sensors
    skill: work
    params: {task: x, zone: y, severity: 1, assignment: {}}
    at: data.items
    map: map.yaml
    done: keep
  - name: web
    http:
      url: https://x.example/calls
      headers: {Accept: text/csv}
      keys: {Authorization: {key: web, prefix: "Bearer "}, X-Key: other}
      timeout: 5s
      most: 1MB
      format: csv
    map: map.yaml
    done: remember-records
  - {name: alerts, alertmanager: alerts, map: alerts.yaml}
"""


def test_a_whole_file_says_what_it_says(duty: Path) -> None:
    (duty / "cycle.yaml").write_text(WHOLE)
    cycle = load(duty)
    assert [(s.name, s.kind, s.done, s.required) for s in cycle.sources] == [
        ("calls", "file", "remember", True),
        ("in/*.csv", "glob", "move", False),
        ("sensors", "skill", "keep", False),
        ("web", "http", "remember-records", False),
        ("alerts", "alertmanager", "remember", False),
    ]
    assert cycle.sources[1].move_to == Path("done")
    assert cycle.sources[2].within == ("data", "items")
    web = cycle.sources[3].web
    assert web is not None
    assert (web.timeout_s, web.most_bytes, web.ending) == (5, 1_000_000, ".csv")
    assert web.keys == {"Authorization": ("Bearer ", "web"), "X-Key": ("", "other")}
    assert cycle.uses_keys
    assert (cycle.desk_of("Robot").skill, cycle.desk_of("Robot").outbox) == ("work", None)
    assert str(cycle.desk_of("Ada").outbox) == "webhook:https://x.example/in"
    assert str(cycle.desk_of("Bo").outbox) == "file:out.jsonl"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sources:", "source:", "cycle.yaml:13: $.source: no such setting (did you mean 'sources'?)"),
        ("file: calls.csv", "fil: calls.csv", "cycle.yaml:14: $.sources[0].fil: no such setting (did you mean 'file'?)"),
        ("file: calls.csv", "required: true", "cycle.yaml:14: the key 'required' stands twice"),
        (", file: calls.csv", "", "cycle.yaml:14: $.sources[0]: a source is one of file, glob, skill, http, alertmanager, found none of them"),
        ("file: calls", "skill: work, file: calls", "cycle.yaml:14: $.sources[0]: a source is one of file, glob, skill, http, alertmanager, found file and skill"),
        ("name: calls", "name: web", "cycle.yaml:22: $.sources[3].name: 'web' is taken already, by line 14"),
        ("done: keep", "done: kept", "cycle.yaml:21: $.sources[2].done: expected remember, remember-records, keep or move-to FOLDER"),
        ("done: keep", "done: move-to x", "cycle.yaml:21: $.sources[2].done: what skill gives cannot be moved"),
        ("skill: work\n", "skill: wrok\n", "cycle.yaml:17: $.sources[2].skill: no skill named 'wrok'"),
        ("skill: work,", "skill: wrok,", "agent 'Robot': no skill named 'wrok'"),
        ("timeout: 5s", "timeout: soon", "cycle.yaml:27: $.sources[3].http.timeout: a time limit: expected a time"),
        ("format: csv", "format: xls", "cycle.yaml:29: $.sources[3].http.format: expected one of csv, json, jsonl, yaml"),
        ("url: https", "url: gopher", "cycle.yaml:24: $.sources[3].http.url: not an address: 'gopher://x.example/calls'"),
        ("Accept: text", "A ccept: text", "cycle.yaml:25: $.sources[3].http.headers: not a header's name: 'A ccept'"),
        ("alerts, map: alerts.yaml", "alerts", "cycle.yaml:32: $.sources[4].map: alerts need a map"),
        ("outbox: file:out.jsonl", "outbox: fiel:out", "cycle.yaml:12: $.outbox: not an outbox: 'fiel:out' (did you mean 'file'?)"),
        ("params: {shift: night}", "outbox: bus:x", "cycle.yaml:5: $.agents[0].outbox: a skill-agent's work becomes a task"),
        ("shift: night", "shfit: night", "agent 'Robot': skill 'work' has no parameter 'shfit' (did you mean 'shift'?)"),
        ("shift: night", "shift: 3", "agent 'Robot': --shift: expected str, found 3"),
        ("work, params: {shift: night}", "tides, params: {depth: 1}", "agent 'Robot': skill 'tides' needs --harbour"),
        ("move-to done", "move-to x/../in", "cycle.yaml:15: $.sources[1].done: 'in/*.csv' looks for files in x/../in itself"),
        ('"https://x.example/in"', '"x"', "cycle.yaml:9: $.agents[1].outbox: not an address: 'x'"),
        ("map: map.yaml, req", "map: mop.yaml, req", "mop.yaml: no such file"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_place(
    duty: Path, old: str, new: str, said: str
) -> None:
    assert WHOLE.count(old) >= 1
    (duty / "skills" / "tides.py").write_text(
        "from dino_os import skill\n\n\n@skill\ndef tides(harbour: str, task: str, depth: int): ...\n"
    )
    (duty / "cycle.yaml").write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(InvalidInput) as caught:
        load(duty)
    assert str(caught.value).replace(f"{duty}/", "").startswith(said)


@pytest.mark.parametrize(
    "source",
    [
        {"file": "in/a.csv", "map": "map.yaml"},
        {"glob": "in/*.csv", "map": "map.yaml"},
        {"alertmanager": "in", "map": "alerts.yaml"},
    ],
)
def test_files_are_not_moved_to_where_they_are_looked_for(duty: Path, source: Any) -> None:
    for folder in ("in", "./in/", str(duty / "in")):
        write_duty(duty, sources=[{**source, "done": f"move-to {folder}"}])
        with pytest.raises(InvalidInput, match=r"looks for files in .* itself"):
            load(duty)


def test_an_address_is_named_without_what_may_be_a_secret(duty: Path) -> None:
    address = "https://x.example/calls?api_key=canary#canary"
    write_duty(duty, sources=[{"http": address, "map": "map.yaml"}])
    (source,) = load(duty).sources
    assert (source.name, source.where) == ("https://x.example/calls",) * 2
    assert source.web is not None
    assert source.web.url == address


def test_a_webhooks_address_may_be_a_key(duty: Path) -> None:
    """It is told by that key's name; the vault is opened for it."""
    outbox = {"webhook": {"key_url": "duty-url"}}
    write_duty(duty, agents=[], outbox=outbox)
    cycle = load(duty)
    assert str(cycle.outbox) == "webhook:key duty-url"
    assert cycle.uses_keys
    assert cycle.outbox is not None
    assert Address.of(cycle.outbox.as_dict()) == cycle.outbox


def test_records_without_identifiers_cannot_be_remembered(duty: Path) -> None:
    source = {"name": "calls", "file": "calls.csv", "map": "map.yaml", "done": "remember-records"}
    write_duty(duty, sources=[source])
    text = (duty / "map.yaml").read_text().replace("identifier: id\n", "")
    (duty / "map.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=r"sources\[0\].done: .*no identifier to remember"):
        load(duty)


def test_without_a_file_that_is_said(duty: Path) -> None:
    (duty / "cycle.yaml").unlink()
    with pytest.raises(NotFound, match="no such file"):
        load(duty)


def test_plan_cycle_reads_the_same_agents(duty: Path, dino: Any) -> None:
    """A skill or an outbox does not stand in its way, and changes nothing there."""
    agents = "agents: [{name: A, skills: [pump], available_hours: 9, outbox: 'bus:a'}]\n"
    (duty / "agents.yaml").write_text(agents)
    report = dino("plan-cycle", "scenario.yaml", "--json").json
    assert [a["agent"] for a in report["assignments"]] == ["A"]
    assert not (duty / "memory" / "outbox.jsonl").exists()
