"""Questions that wait: asked when somebody is there, once, and each with one end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.agent_core.core import Core
from dino_os.agent_core.duty import AskDuty
from dino_os.agent_core.queue import KEEP_S, LONGEST_PAUSE_S, LlmQueue
from dino_os.agent_core.sending import send
from dino_os.errors import InvalidInput, NotFound
from dino_os.process_lock import Busy, ProcessLock
from dino_os.work.calls import ASK_MODELS, own_calls
from dino_os.workspace import Workspace
from tests.agent_core.desk import NOBODY, desk, provider
from tests.models.scripted import ScriptedServer, Status, Text

NOT_YET = {"answered": 0, "failed": 1, "given_up": 0, "waiting": 2}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("the answer")) as running:
        yield running


@pytest.fixture
def here(home: Path, server: ScriptedServer) -> Workspace:
    return desk(home, provider("near", server.url))


def queued(here: Workspace, prompt: str = "why?", **options: Any) -> str:
    return here.llm_queue.queue(prompt, options, by="tester")


def test_what_waits_is_asked_and_its_run_is_on_record(
    here: Workspace, server: ScriptedServer
) -> None:
    first, second = queued(here, system="be brief"), queued(here)
    assert send(here).as_dict() == {"answered": 2, "failed": 0, "given_up": 0, "waiting": 0}
    one = Workspace(here.root).llm_queue.find(first)
    assert (one.state, one.answer, one.attempts) == ("answered", "the answer", 1)
    run = here.agent_log.run(one.run or "")
    assert (run.kind, run.outcome, run.actor) == ("queued", "ok", "tester")
    assert server.bodies[0]["messages"][0]["content"] == "be brief"
    assert send(here).answered == 0
    assert here.llm_queue.find(second).state == "answered"


def test_where_nobody_is_there_the_rest_waits_too(home: Path) -> None:
    here = desk(home, provider("dead", NOBODY))
    ids = [queued(here), queued(here)]
    assert send(here).as_dict() == {"answered": 0, "failed": 1, "given_up": 0, "waiting": 2}
    first, second = (here.llm_queue.find(one) for one in ids)
    assert "nobody listens there" in first.reason
    assert (first.attempts, second.attempts) == (1, 0)
    assert here.llm_queue.clock() < first.due <= here.llm_queue.clock() + 30
    assert send(here).failed == 1  # the second was due still
    assert send(here).failed == 0
    assert send(here, all_=True).failed == 1


def test_what_no_later_time_will_change_is_given_up(
    here: Workspace, server: ScriptedServer
) -> None:
    server.say(Status(400))
    ids = [queued(here), queued(here, provider="nobody"), queued(here)]
    assert send(here).as_dict() == {"answered": 1, "failed": 0, "given_up": 2, "waiting": 0}
    states = [here.llm_queue.find(one).state for one in ids]
    assert states == ["given_up", "given_up", "answered"]


def test_what_people_can_mend_waits_for_them(
    here: Workspace, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong key, a model that is not there, a vault that does not open."""
    ids = [queued(here), queued(here)]
    for status in (401, 404):
        server.say(Status(status))
        assert send(here, all_=True).as_dict() == NOT_YET
    here.security.set_key("sea", "canary-7Hq2vTzR9wLk3NfX8sBd")
    with monkeypatch.context() as away:
        away.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
        assert send(Workspace(here.root), all_=True).as_dict() == NOT_YET
    assert send(Workspace(here.root), all_=True).answered == len(ids)


def test_an_answer_that_nobody_lived_to_tell_is_not_asked_for_again(
    here: Workspace, server: ScriptedServer
) -> None:
    id_ = queued(here)
    Core(here).run("why?")  # as the attempt did, before the process was killed
    here.llm_queue.begin(id_, here.agent_log.runs(1)[0].id)
    assert send(here).answered == 1
    assert len(server.requests) == 1
    assert here.llm_queue.find(id_).answer == "the answer"


def test_one_process_at_a_time_asks(here: Workspace) -> None:
    queued(here)
    other = ProcessLock(here.memory / "llm_queue.lock", by="another", what="asking")
    with other.held(), pytest.raises(Busy):
        send(here)


def test_what_is_dropped_is_not_asked(here: Workspace, server: ScriptedServer) -> None:
    id_ = queued(here)
    here.llm_queue.drop(id_, by="me")
    assert send(here).answered == 0
    assert not server.requests
    with pytest.raises(InvalidInput, match="it is dropped"):
        here.llm_queue.drop(id_, by="me")
    with pytest.raises(NotFound):
        here.llm_queue.find("nothing")
    assert not here.llm_queue.begin(id_, "run")


def test_pauses_grow_and_what_is_old_is_given_up() -> None:
    now = [1e9]
    queue = LlmQueue(clock=lambda: now[0])
    id_ = queue.queue("x", {}, by="me")
    pauses = []
    for _ in range(12):
        queue.begin(id_, "run")
        queue.failed(id_, "away")
        pauses.append(queue.find(id_).due - now[0])
    assert pauses[0] <= 60
    assert LONGEST_PAUSE_S / 2 <= pauses[-1] <= LONGEST_PAUSE_S
    assert queue.due(now[0]) == []
    now[0] -= 86_400  # a clock that is set back makes nobody wait
    assert [one.id for one in queue.due(now[0])] == [id_]
    now[0] += 86_400 + KEEP_S
    queue.failed(id_, "away")
    assert queue.find(id_).state == "given_up"


def test_a_prompt_that_is_too_long_does_not_wait() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        LlmQueue().queue("x" * 300_000, {}, by="me")


def test_a_secret_of_the_vault_does_not_wait_in_clear(here: Workspace) -> None:
    here.security.set_key("sea", "canary-7Hq2vTzR9wLk3NfX8sBd")
    queued(here, "is canary-7Hq2vTzR9wLk3NfX8sBd good?", labels=["canary-7Hq2vTzR9wLk3NfX8sBd"])
    assert b"canary-7" not in (here.memory / "llm_queue.jsonl").read_bytes()


def test_a_service_has_it_asked_by_a_task(here: Workspace) -> None:
    duty = AskDuty(here)
    assert not duty.has_begun()
    queued(here)
    assert duty.has_begun()
    assert duty.turn() is None
    (task,) = here.resources.tasks(source="llm_queue")
    assert task.payload == {"call": ASK_MODELS}
    assert ASK_MODELS in own_calls()
    assert duty.turn() is None
    assert len(here.resources.tasks(source="llm_queue")) == 1
