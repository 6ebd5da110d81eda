"""`dino offline …`: each call a process of its own; two workspaces that synchronise over HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dino_os.workspace import Workspace
from engines.journal import verify
from engines.nav_mesh import Receipt, Request
from tests.conftest import Dino
from tests.nav.service import serving

Started = Callable[..., "subprocess.Popen[str]"]


def test_values_are_kept_listed_and_deleted(dino: Dino) -> None:
    assert dino("offline", "ls").out == "nothing is kept yet\n"
    dino("offline", "set", "station/mole", '{"level_m": 4.25, "said": "läuft"}')
    dino("offline", "set", "_odd", "null", "--ttl", "6h")
    assert dino("offline", "get", "station/mole", "--json").json["value"]["level_m"] == 4.25
    assert dino("offline", "get", "_odd").out == "null\n"
    assert dino("offline", "ls", "station/", "--json").json == {"keys": ["station/mole"]}
    assert dino("offline", "--json").json["documents"] == 2
    assert dino("offline", "rm", "_odd").out == "_odd is deleted\n"
    for words in (("get", "station/mol"), ("rm", "station/mol"), ("resolve", "station/mol")):
        assert "did you mean 'station/mole'" in dino("offline", *words, code=2).err
    wrong = dino("offline", "set", "x", "text", "--json", code=2).error
    assert (wrong["code"], wrong["hint"]) == ("invalid_input", "text stands in quotes: '\"text\"'")
    assert dino("offline", door="execute").out.startswith("1 document, 0 conflicts\n")


def test_a_design_document_is_no_value(dino: Dino, workspace: Path) -> None:
    """What somebody's program keeps beside its documents is neither listed nor read as one."""
    here = Workspace(workspace)
    here.documents.put({"_id": "_design/views", "views": {}})
    here.documents.put({"_id": "theirs", "n": 1})
    here.documents.close()
    assert dino("offline", "ls", "--json").json == {"keys": ["theirs"]}
    assert dino("offline", "get", "theirs", "--json").json["value"] == {"n": 1}
    assert "conflicts _design/views` shows" in dino("offline", "get", "_design/views", code=2).err
    assert '"views": {}' in dino("offline", "conflicts", "_design/views").out


def test_looking_makes_nothing(dino: Dino, workspace: Path) -> None:
    for words in ((), ("conflicts",), ("queue",)):
        dino("offline", *words)
    assert not (workspace / "memory" / "cache").exists()
    assert "no remote" in dino("offline", "sync", code=2).err


# --- the queue ----------------------------------------------------------------------------------


def test_requests_that_wait_are_shown_held_released_dropped_and_tried_again(
    dino: Dino, workspace: Path
) -> None:
    here = Workspace(workspace)
    request = Request("POST", "/readings", {"Authorization": "Bearer canary"}, b"canary body")
    first, second = (
        here.requests.put("wealth", "skill:x", request, authorised=True).id for _ in "ab"
    )
    here.requests.give_up(second, "answered with 404")
    here.documents.close()
    listed = dino("offline", "queue", "--json")
    assert [(one["id"], one["state"]) for one in listed.json["requests"]] == [
        (first, "queued"),
        (second, "dead"),
    ]
    assert "POST /readings" in dino("offline", "queue", "--state", "dead").out
    assert dino("offline", "queue", "hold", first[:12], "--json").json["state"] == "held"
    assert dino("offline", "queue", "approve", first).out == f"{first} may be sent\n"
    assert dino("offline", "queue", "retry", second, "--json").json["state"] == "queued"
    assert dino("offline", "queue", "drop", second, "--json").json["state"] == "dropped"
    assert "is queued, not held" in dino("offline", "queue", "release", first, code=2).err
    assert dino("offline", "queue", "retry", second[:12], "--json").json["state"] == "queued"
    assert "ids of 2 requests" in dino("offline", "queue", "drop", "", code=2).err
    assert "canary" not in listed.out + dino("offline", "queue").out


def test_a_request_whose_time_was_up_is_shown_and_tried_again(dino: Dino, workspace: Path) -> None:
    here = Workspace(workspace)
    request = Request("POST", "/readings", {}, b"4.2")
    late = here.requests.put("wealth", "skill:x", request, authorised=True, expires_at=1.0).id
    assert here.requests.claim(2e9, owner="me", lease_s=1) is None
    here.documents.close()
    for words in ((), ("--state", "expired")):
        (one,) = dino("offline", "queue", *words, "--json").json["requests"]
        assert (one["id"], one["state"]) == (late, "expired")
    assert dino("offline", "queue", "--state", "dead").out == "no request is dead\n"
    assert dino("offline", "queue", "retry", late[:8], "--json").json["state"] == "queued"


def test_requests_that_wait_are_sent_with_the_next_sync(dino: Dino, workspace: Path) -> None:
    """Through their gate; 75 as long as nobody is there, and then each once."""
    with serving() as service:
        routes = {"nav": {"domains": {"info": {"primary": service.url}}}}
        (workspace / "config.yaml").write_text(json.dumps(routes))
        here = Workspace(workspace)
        request = Request("POST", "/v1/readings", {}, b"4.2", idempotency_key="k-1")
        service.cut()
        token = here.nav.issue_token("info", "ada")
        assert isinstance(here.nav.send("info", token, "ada", request), Receipt)
        waiting = dino("offline", "sync", "--json", code=75).json
        assert (waiting["requests"]["later"], waiting["synchronised"]) == (1, [])
        service.connect()
        receipt = here.requests.waiting()[0].id  # it would wait for a moment
        here.requests.hold(receipt, "")
        here.requests.release(receipt)
        sent = dino("offline", "sync", "--only", "requests", "--json").json["requests"]
        assert (sent["delivered"], sent["later"]) == (1, 0)
        assert service.taken == {"k-1": b"4.2"}
        assert (
            dino("offline", "queue", "--state", "sent", "--json").json["requests"][0]["status"]
            == 201
        )
        here.documents.close()


# --- two workspaces ------------------------------------------------------------------------------


@dataclass
class Serving:
    """`dino offline serve` in a workspace, as a process."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


@pytest.fixture
def serve(started: Started) -> Callable[..., Serving]:
    def begin(*words: str) -> Serving:
        process = started("offline", "serve", "--json", *words)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return Serving(process, json.loads(line))

    return begin


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second workspace."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "config.yaml").write_text("system:\n  name: other\n")
    return folder


def keep(folder: Path, **values: Any) -> None:
    """Set values; None is none."""
    here = Workspace(folder)
    for key, value in values.items():
        if value is None:
            here.cache.delete(key)
        else:
            here.cache.set(key, value)
    here.documents.close()


def kept(folder: Path) -> dict[str, Any]:
    here = Workspace(folder)
    found = {key: here.cache.get(key) for key in here.cache.keys()}  # noqa: SIM118  no mapping
    here.documents.close()
    return found


def point(other: Path, serving: Serving, password: str | None = None) -> None:
    """Have the *other* workspace synchronise with what is served."""
    secret = f"dino:{password or serving.said['password']}"
    assert Workspace(other).security.set_key("desk", secret)
    (other / "config.yaml").write_text(
        f"cache:\n  remote: {serving.said['url']}\n  remote_key: desk\n"
    )


def test_two_workspaces_come_to_have_the_same(
    dino: Dino, workspace: Path, other: Path, serve: Callable[..., Serving]
) -> None:
    """Edits, deletions, a conflict and what resolves it; then nobody answers, and nothing is lost."""
    keep(workspace, both=1)
    serving = serve("--port", "0")
    point(other, serving)
    keep(other, both=2, theirs=[3])
    done = dino("offline", "sync", "--json", cwd=other).json["synchronised"]
    assert [(one["direction"], one["ok"]) for one in done] == [("push", True), ("pull", True)]
    assert kept(workspace).keys() == {"both", "theirs"}
    split = dino("offline", "conflicts", "--json").json
    assert split == dino("offline", "conflicts", "--json", cwd=other).json
    ((winner, loser),) = [conflict["leaves"] for conflict in split["conflicts"]]
    done = dino("offline", "resolve", "both", loser["rev"][:8], "--json", cwd=other).json
    assert (done["kept"], done["deleted"]) == (loser["rev"], [winner["rev"]])
    keep(other, theirs=None)
    assert dino("offline", "sync", cwd=other).out.startswith("push: 2 documents, in ")
    assert dino("offline", "conflicts").out == "no conflicts\n"
    assert kept(workspace) == kept(other)
    assert kept(workspace).keys() == {"both"}
    assert serving.end()[0] == 130

    keep(other, later=4)
    port = int(serving.said["url"].rsplit(":", 1)[1].partition("/")[0])
    with socket.socket() as nobody:  # and nobody else either, who would be taken for the peer
        nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        nobody.bind(("127.0.0.1", port))
        told = dino("offline", "sync", cwd=other, code=75).out
    assert "not reached, kept for the next time" in told
    shown = dino("offline", "--json", cwd=other).json
    assert (shown["to_push"], set(shown["failing_since"])) == (1, {"push", "pull"})
    again = serve("--port", str(port))
    point(other, again)
    dino("offline", "sync", cwd=other)
    shown = dino("offline", "--json", cwd=other).json
    assert (shown["to_push"], shown["failing_since"]) == (0, {})
    assert kept(workspace)["later"] == 4
    _, err = again.end()
    assert json.loads(err)["code"] == "interrupted"  # and nothing besides
    for folder in (workspace, other):
        for name in ("cache_log", "offline_log"):
            journal = folder / "memory" / f"{name}.jsonl"
            assert not journal.exists() or verify(journal).ok


def test_what_is_read_only_or_not_let_in_is_said(
    dino: Dino, other: Path, serve: Callable[..., Serving], workspace: Path
) -> None:
    """The password of a key is not shown; a wrong one is refused; nothing is changed by either."""
    assert Workspace(workspace).security.set_key("served", "s3cret-pass")
    keep(workspace, ours=1)
    serving = serve("--port", "0", "--read-only", "--key", "served")
    assert "password" not in serving.said
    point(other, serving, "wrong")
    keep(other, theirs=2)
    assert dino("offline", "sync", "--json", cwd=other, code=3).error["message"]
    point(other, serving, "s3cret-pass")
    # What is refused one way is recorded, and keeps nothing from coming the other.
    assert "was answered 403" in dino("offline", "sync", cwd=other, code=3).err
    assert kept(other) == {"ours": 1, "theirs": 2}
    shown = dino("offline", "--json", cwd=other).json
    assert (list(shown["failing_since"]), list(shown["syncs"])) == (["push"], ["pull"])
    assert kept(workspace) == {"ours": 1}
    assert serving.end()[0] == 130
    logs = [path.read_text() for path in (other / "memory").glob("*.jsonl")]
    assert not any("s3cret-pass" in text for text in logs)


def test_an_address_that_is_taken_is_said(dino: Dino, serve: Callable[..., Serving]) -> None:
    serving = serve("--port", "0")
    port = serving.said["url"].rsplit(":", 1)[1].partition("/")[0]
    assert "cannot listen" in dino("offline", "serve", "--port", port, code=4).err


def test_a_tick_of_the_service_synchronises(
    dino: Dino, workspace: Path, other: Path, serve: Callable[..., Serving]
) -> None:
    """Where the settings ask for it; and it is no error of the service's that nobody answers."""
    serving = serve("--port", "0")
    point(other, serving)
    keep(other, theirs=2)
    with (other / "config.yaml").open("a") as config:
        config.write("  continuous: true\n")
    dino("scheduler", "tick", cwd=other)
    assert kept(workspace) == {"theirs": 2}
    serving.end()
    dino("scheduler", "tick", cwd=other)
    assert Workspace(other).offline_log.failing_since.keys() == {"push", "pull"}
