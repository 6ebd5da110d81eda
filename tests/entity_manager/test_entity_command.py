"""`dino entity` as an operator tries it, with real runs behind it."""

from __future__ import annotations

import http.server
import io
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dino_os import commands
from dino_os.workspace import Workspace
from tests.conftest import Dino, Outcome

SKILLS = '''\
from urllib.request import urlopen

from dino_os import skill

@skill
def note(message: object) -> str:
    """Say what was published."""
    if message == "bad":
        raise ValueError("a bad message")
    return str(message)

@skill(reaches=["127.0.0.1:PORT"])
def fetch(path: str = "") -> int:
    """Ask a server."""
    return len(urlopen("http://127.0.0.1:PORT/" + path).read())
'''


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    """A port that is taken, on which nobody answers until `server_activate`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet, bind_and_activate=False) as found:
        yield found


@pytest.fixture
def skills(workspace: Path, server: http.server.ThreadingHTTPServer) -> Path:
    server.server_bind()
    port = str(server.server_address[1])
    (workspace / "skills" / "note.py").write_text(SKILLS.replace("PORT", port))
    return workspace


@pytest.fixture
def inside(
    skills: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Dino:
    """`dino` and `execute` within this process, where there is much to ask."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.chdir(skills)

    def call(*args: object, code: int = 0, door: str = "dino") -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            getattr(commands, door)([str(arg) for arg in args], door)
        outcome = Outcome(int(left.value.code or 0), *capsys.readouterr())
        assert outcome.code == code, outcome
        return outcome

    return call


def test_each_command_by_example(inside: Dino) -> None:
    dino = inside
    assert dino("entity").out == "no entities; `dino entity spawn` makes one\n"
    spawned = dino(
        *("entity", "spawn", "clerk", "--type", "analyzer", "--skill", "note", "--on", "reports"),
        *("--needs", "compute=2", "--max-failures", 5, "--within", "1m", "--json"),
    ).json
    assert spawned["state"] == "hibernating"
    assert spawned["work"] == {
        "skill": "note",
        "params": {},
        "every_s": None,
        "channel": "reports",
        "from_now": False,
    }
    for command, state in [
        ("awaken", "active"),
        ("offline", "offline adapting"),
        ("recover", "active"),
        ("hibernate", "hibernating"),
        ("awaken", "active"),
        ("deactivate", "deactivated"),
    ]:
        assert dino("entity", command, "clerk").out == f"entity 'clerk' is {state}\n"
    (listed,) = dino("entity", "list", "--json").json["entities"]
    assert (listed["entity_id"], listed["state"]) == ("clerk", "deactivated")
    assert dino("entity", "list", "--state", "active", "--json").json == {"entities": []}
    assert "clerk   analyzer  deactivated" in dino("entity", door="execute").out
    assert dino("entity", "status", "--json").json["states"]["deactivated"] == 1
    assert dino("entity", "status", "clerk").out.startswith("entity            clerk (analyzer)\n")
    assert dino("hashchain", "--json").json["ok"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("hibernate", "nobody"), 2, "no entity 'nobody'"),
        (("hibernate", "clrk"), 2, "(did you mean 'clerk'?)"),
        (("hibernate", "clerk"), 1, "it is hibernating; 'hibernate' is for one that is awakening, active,"),
        (("recover", "clerk"), 1, "'recover' is for one that is error correction"),
        (("awaken", "large"), 4, "entity 'large' stays hibernating: not free: 99 compute"),
        (("spawn", "clerk"), 2, "the id 'clerk' was used before"),
        (("spawn", "e", "--skill", "nte", "--every", "1s"), 2, "no skill named 'nte' (did you mean 'note'?)"),
        (("spawn", "e", "--skill", "note", "--every", "1s"), 2, "needs --message"),
        (("spawn", "e", "--skill", "note"), 2, "each interval or per message"),
        (("spawn", "e", "--every", "5"), 2, "name a skill"),
        (("spawn", "e", "--skill", "note", "--every", "soon"), 2, "--every: expected a time"),
        (("spawn", "e", "--needs", "compute"), 2, "--needs: expected POOL=AMOUNT"),
        (("spawn", "e", "--needs", "cmpute=1"), 2, "no resource 'cmpute' (did you mean 'compute'?)"),
        (("spawn", "e", "--params", "{"), 2, "--params: not JSON"),
        (("spawn", "e", "--params", "[]"), 2, "--params: expected a JSON object"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(
    inside: Dino, skills: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    manager = Workspace(skills).entities
    manager.spawn("clerk", "worker")
    manager.spawn("large", "worker", {"compute": 99})
    assert told in inside("entity", *words, code=code).err


def test_status_tells_who_is_not_well(inside: Dino, skills: Path) -> None:
    dino = inside
    manager = Workspace(skills).entities
    manager.spawn("ill", "worker")
    manager.awaken("ill")
    assert dino("entity", "status").out.endswith("not healthy       none\n")
    manager.set_health("ill", 3)
    assert dino("entity", "status", "--json", code=1).json["unhealthy"] == ["ill"]
    assert "health            3: health 3, below 30" in dino("entity", "status", "ill", code=1).out
    assert "health 3, below 30" in dino("entity").out


def test_messages_become_runs_and_the_record_shows_them(dino: Dino, skills: Path) -> None:
    dino("entity", "spawn", "clerk", "--skill", "note", "--on", "reports", "--awake")
    for message in ("one", "bad", {"n": 3}):
        Workspace(skills).bus.publish("reports", message)
    ran = dino("entity", "run", "--once", "--json").json
    assert ran["states"]["active"] == 1
    found = dino("entity", "logs", "clerk", "--json").json
    assert [(t["task_id"], t["outcome"], t["result"]) for t in found["runs"]] == [
        ("entity:clerk#1", "ok", "one"),
        ("entity:clerk#2", "error", None),
        ("entity:clerk#3", "ok", "{'n': 3}"),
    ]
    types = [event["event_type"] for event in found["events"]]
    assert types[:3] == ["entity_spawned", "entity_awakening", "entity_active"]
    assert types.count("entity_run_ended") == 3
    assert (found["entity"]["tasks_completed"], found["entity"]["tasks_failed"]) == (2, 1)
    told = dino("entity", "logs", "clerk", "--show", 2).out
    assert "run ended  number=2" not in told
    assert "run ended  number=3 outcome=ok" in told
    assert dino("entity", "run", "--once").out == "the entities are left to themselves\n"
    assert len(dino("entity", "logs", "clerk", "--json").json["runs"]) == 3


def test_a_real_host_that_goes_and_comes(
    dino: Dino, skills: Path, server: http.server.ThreadingHTTPServer
) -> None:
    """Offline while nobody listens; the run that failed then is the one that succeeds."""
    dino("grant", "fetch")
    dino("entity", "spawn", "e", "--skill", "fetch", "--every", "1h", "--awake")
    dino("entity", "run", "--once")
    off = dino("entity", "status", "e", "--json").json
    assert (off["state"], off["tasks_failed"], off["health"]) == ("offline_adapting", 0, 100.0)
    assert "not reached: 127.0.0.1:" in off["reason"]
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    dino("entity", "run", "--once")
    server.shutdown()
    thread.join()
    back = dino("entity", "logs", "e", "--json").json
    assert (back["entity"]["state"], back["entity"]["tasks_failed"]) == ("active", 0)
    first = back["runs"][0]
    assert (first["task_id"], first["outcome"], first["attempts"]) == ("entity:e#1", "ok", 1)


def test_the_service_goes_on_until_it_is_told_to_end(
    dino: Dino, skills: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    dino("entity", "spawn", "clerk", "--skill", "note", "--on", "reports", "--awake")
    service = started("entity", "run")
    workspace = Workspace(skills)
    workspace.bus.publish("reports", "hello")
    entity = workspace.entities.get_entity("clerk")
    assert entity
    while not entity.tasks_completed:
        assert service.poll() is None
        time.sleep(0.02)
        workspace.entities.refresh()
    service.send_signal(signal.SIGTERM)
    out, err = service.communicate(timeout=60)
    assert (service.returncode, out, err) == (0, "the entities are left to themselves\n", "")


def test_the_diagram_is_the_table(dino: Dino) -> None:
    from engines.entity_manager import TRANSITIONS, state_diagram

    assert dino("entity", "diagram").out == state_diagram() + "\n"
    assert len(dino("entity", "diagram", "--json").json["transitions"]) == len(TRANSITIONS)


def test_ids_are_completed(dino: Dino, skills: Path) -> None:
    Workspace(skills).entities.spawn("clerk", "worker")
    env = {
        "COMP_WORDS": "dino entity awaken cl",
        "COMP_CWORD": "3",
        "_DINO_COMPLETE": "bash_complete",
    }
    assert "plain,clerk" in dino(env=env).out


def test_a_long_note_leaves_the_columns_their_room(inside: Dino, skills: Path) -> None:
    manager = Workspace(skills).entities
    manager.spawn("clerk", "worker", skill="note", channel="reports")
    manager.awaken("clerk")
    manager.offline_adapt("clerk", reason="not reached: " + "a.example:443, " * 20)
    head, row, blank, note = inside("entity").out.splitlines()
    assert len(row) <= 80
    assert (head.split()[-1], blank) == ("does", "")
    assert note.startswith("clerk: not reached: a.example:443, ")


def test_logs_show_a_runs_own_words_from_its_task(dino: Dino, skills: Path) -> None:
    dino("entity", "spawn", "clerk", "--skill", "note", "--on", "reports", "--awake")
    Workspace(skills).bus.publish("reports", "bad")
    dino("entity", "run", "--once")
    found = dino("entity", "logs", "clerk", "--json").json
    (ended,) = [e for e in found["events"] if e["event_type"] == "entity_run_ended"]
    assert ended["error"].startswith("ValueError (note.py:")
    assert "a bad message" not in str(found["events"])
    assert found["runs"][0]["error"]["message"] == "a bad message"
    assert "a bad message" in dino("entity", "logs", "clerk").out
