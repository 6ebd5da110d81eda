"""Who is asked after whom, for what reason, and who is left out for how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dino_os.agent_core.core import Core
from dino_os.agent_core.health import FIRST_S, LONGEST_S, Health
from dino_os.errors import (
    ConfigError,
    DinoError,
    InvalidInput,
    ModelError,
    ModelTimedOut,
    ModelUnavailable,
    NotFound,
)
from dino_os.workspace import Workspace
from tests.agent_core.desk import NOBODY, calls, chain_of, desk, provider, said
from tests.models.scripted import (
    Answer,
    Calls,
    Dies,
    Empty,
    Hangs,
    Raw,
    ScriptedServer,
    Status,
    Text,
)


@pytest.fixture
def first() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def second() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=Text("from the second")) as server:
        yield server


@pytest.fixture
def core(workspace: Path, first: ScriptedServer, second: ScriptedServer) -> Core:
    return Core(desk(workspace, provider("first", first.url), provider("second", second.url)))


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streams(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def ask(core: Core, prompt: str = "hi", *, streams: bool = False, **options: Any) -> str:
    asked = core.stream(prompt, **options) if streams else [core.run(prompt, **options)]
    return "".join(asked)


PASSED_ON: list[tuple[Answer, str]] = [
    (Status(429), "too many requests"),
    (Status(402), "nothing is left to spend"),
    (Status(500), "its own fault"),
    (Status(503, "we are overloaded"), "it is overloaded or away"),
    (Status(401), "it refused the key"),
    (Status(404), "it has no such model"),
    (Status(400, code="context_length_exceeded"), "the prompt is longer than it reads"),
    (Status(307, headers={"location": "http://127.0.0.1:9/"}), "it sends elsewhere"),
    (Raw(), "no answer of a model"),
    (Raw(b"<html>"), "no answer of a model"),
    (Raw(b'{"choices": 7}'), "no answer of a model"),
    (Empty(), "no answer of a model"),
    (Text(""), "no answer of a model"),
    (Dies(0), "the connection ended before the answer did"),
]


@pytest.mark.parametrize(("answer", "why"), PASSED_ON, ids=[str(a) for a, _ in PASSED_ON])
def test_what_another_may_do_better_is_another_s_turn(
    core: Core, first: ScriptedServer, streams: bool, answer: Answer, why: str
) -> None:
    first.say(answer)
    assert ask(core, streams=streams) == "from the second"
    assert calls(core._workspace) == [("first", "error"), ("second", "ok")]
    step = core._workspace.agent_log.steps(core._workspace.agent_log.runs(1)[0].id)[1]
    assert [one["provider"] for one in step.tried] == ["first"]  # type: ignore[union-attr]
    assert why in step.tried[0]["reason"]  # type: ignore[union-attr]


@pytest.mark.parametrize("answer", [Status(400), Status(422), Text("", finish="content_filter")])
def test_what_every_other_would_say_too_is_the_last_word(
    core: Core, first: ScriptedServer, second: ScriptedServer, streams: bool, answer: Answer
) -> None:
    first.say(answer)
    with pytest.raises(ModelError, match="first"):
        ask(core, streams=streams)
    assert not second.requests


def test_an_answer_that_is_filtered_in_part_or_ends_at_its_length_is_one(
    core: Core, first: ScriptedServer, streams: bool
) -> None:
    first.say(Text("so far", finish="length"), Text("so good", finish="content_filter"))
    assert [ask(core, streams=streams) for _ in range(2)] == ["so far", "so good"]


def test_a_stream_that_dies_behind_its_first_piece_is_an_error_and_what_was_shown_stays(
    core: Core, first: ScriptedServer, second: ScriptedServer
) -> None:
    first.say(Dies(3, "the tide comes in and goes out"))
    shown: list[str] = []
    with pytest.raises(ModelError, match="first ended in the middle of its answer"):
        shown.extend(core.stream("hi"))  # extends as it comes
    assert "".join(shown) == "the tide comes "
    assert not second.requests
    log = core._workspace.agent_log
    run = log.runs(1)[0]
    (step,) = log.steps(run.id)
    assert (run.outcome, step.outcome) == ("error", "error")  # type: ignore[union-attr]
    assert step.response[0]["parts"][0]["content"] == "the tide comes "  # type: ignore[union-attr]
    assert step.output_tokens > 0  # type: ignore[union-attr]  # by its length: nobody counted them


@pytest.mark.parametrize("after", [0, 2])
def test_one_that_hangs_has_its_own_time(
    workspace: Path, first: ScriptedServer, second: ScriptedServer, after: int
) -> None:
    slow = provider("first", first.url, timeout_s=0.2)
    core = Core(desk(workspace, slow, provider("second", second.url)))
    first.say(Hangs(after))
    if after:
        with pytest.raises(ModelError, match=r"no answer within 0\.2 s"):
            ask(core, streams=True)
    else:
        assert ask(core, streams=True) == "from the second"
        assert calls(core._workspace)[0] == ("first", "timeout")


def test_when_all_are_late_that_is_said(workspace: Path, first: ScriptedServer) -> None:
    core = Core(desk(workspace, provider("first", first.url, timeout_s=0.2)))
    first.say(Hangs())
    with pytest.raises(ModelTimedOut) as told:
        ask(core)
    assert told.value.exit_code == 124
    assert core._workspace.agent_log.runs(1)[0].outcome == "timeout"


def test_calls_of_tools_are_an_answer(core: Core, first: ScriptedServer) -> None:
    first.say(Calls([("sea__tide", {"at": "noon"})]))
    assert ask(core) == ""


def test_only_the_one_that_is_named_is_asked(core: Core, second: ScriptedServer) -> None:
    assert ask(core, provider="second", model="other") == "from the second"
    assert second.bodies[0]["model"] == "other"
    with pytest.raises(NotFound, match="did you mean 'second'"):
        ask(core, provider="secnd")
    with pytest.raises(InvalidInput, match="which provider has the model"):
        ask(core, model="other")


def test_nobody_there_is_said_with_all_reasons(workspace: Path, first: ScriptedServer) -> None:
    core = Core(desk(workspace, provider("first", first.url), provider("dead", NOBODY)))
    first.say(Status(401))
    with pytest.raises(ModelUnavailable, match=r"first: it refused the key.*dead: nobody") as told:
        ask(core)
    assert told.value.exit_code == 4
    assert "--queue" in (told.value.hint or "")


def test_what_somebody_has_to_see_to_is_told_though_there_is_an_answer(
    core: Core, first: ScriptedServer
) -> None:
    first.say(Status(401))
    notes: list[str] = []
    assert said(chain_of(core._workspace, note=notes.append)) == "from the second"
    assert notes == ["first: it refused the key (401 scripted_error)"]


def test_a_word_of_theirs_is_told_only_where_it_is_a_plain_one(
    core: Core, first: ScriptedServer
) -> None:
    first.say(Status(400, "your key sk-12 and your prompt", code="sk-1234567890"))
    with pytest.raises(ModelError) as told:
        ask(core)
    assert str(told.value) == "first: it refused the request (400)"


# --- again -------------------------------------------------------------------------------------


def again(workspace: Path, server: ScriptedServer, retries: int) -> tuple[Any, list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    one = desk(workspace, provider("first", server.url), provider("dead", NOBODY))
    return chain_of(one, sleep=sleep, retries=retries, rng=Random(1)), slept


def test_what_may_pass_is_tried_again_after_a_pause(workspace: Path, first: ScriptedServer) -> None:
    chain, slept = again(workspace, first, retries=2)
    first.say(Status(503), Raw(), Text("at last"))
    assert said(chain) == "at last"
    assert 0.25 <= slept[0] <= 0.75
    assert 0.5 <= slept[1] <= 1.5
    asked = calls(Workspace(workspace))
    assert asked[-1] == ("first", "ok")
    assert [name for name, _ in asked].count("dead") == 1


def test_a_server_says_itself_when_to_come_again(workspace: Path, first: ScriptedServer) -> None:
    chain, slept = again(workspace, first, retries=1)
    first.say(Status(429, headers={"retry-after": "3"}), Text("at last"))
    assert said(chain) == "at last"
    assert slept == [3.0]


@pytest.mark.parametrize(
    "answer", [Status(429, headers={"retry-after": "60"}), Status(401), Status(404)]
)
def test_what_will_not_pass_soon_is_not_waited_for(
    workspace: Path, first: ScriptedServer, answer: Answer
) -> None:
    chain, slept = again(workspace, first, retries=3)
    first.say(answer, Text("too late"))
    with pytest.raises(DinoError):
        said(chain)
    assert slept == []


# --- health ------------------------------------------------------------------------------------


def test_a_dead_server_costs_one_knock_and_is_then_left_out(
    workspace: Path, second: ScriptedServer
) -> None:
    """Also in the next process: the memory is a file."""
    here = desk(workspace, provider("dead", NOBODY), provider("second", second.url))
    assert said(chain_of(here)) == "from the second"
    assert calls(here) == [("dead", "error"), ("second", "ok")]
    later = Workspace(workspace)
    assert said(chain_of(later)) == "from the second"
    assert calls(later) == [("second", "ok")]


def test_where_nobody_else_is_left_a_cheap_knock_is_made_all_the_same(workspace: Path) -> None:
    """Whoever starts the server meanwhile is answered at once."""
    with ScriptedServer(always=Text("here I am")) as server:
        here = desk(workspace, provider("only", server.url))
        Health(here.memory / "llm_health.json").failed(server.url, "refused", "nobody listens")
        assert said(chain_of(here)) == "here I am"
        assert Health(here.memory / "llm_health.json").all() == {}


def test_one_that_was_late_is_not_waited_for_again_and_again(workspace: Path) -> None:
    with ScriptedServer() as server:
        here = desk(workspace, provider("only", server.url))
        Health(here.memory / "llm_health.json").failed(server.url, "timeout", "too late")
        with pytest.raises(ModelTimedOut, match="left out, as it failed a moment ago: too late"):
            said(chain_of(here))
        assert not server.requests


def test_pauses_double_and_an_answer_ends_them(tmp_path: Path) -> None:
    now = [1000.0]
    health = Health(tmp_path / "h.json", clock=lambda: now[0])
    pauses = [health.failed("u", "refused", "no").until - now[0] for _ in range(9)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert health.ill("u") is not None
    now[0] += LONGEST_S
    assert health.ill("u") is None
    health.answered("u")
    assert health.failed("u", "refused", "no").until == now[0] + FIRST_S


def test_a_clock_that_is_set_back_keeps_nobody_out(tmp_path: Path) -> None:
    now = [1e9]
    health = Health(tmp_path / "h.json", clock=lambda: now[0])
    health.failed("u", "refused", "no")
    now[0] -= 86_400
    assert health.ill("u") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"u": 1}', '{"u": {"failures": 1}}', "\xff"])
def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "h.json").write_text(text, "latin-1")
    health = Health(tmp_path / "h.json")
    assert health.ill("u") is None
    health.failed("u", "timeout", "no")
    assert health.ill("u") is not None


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"name": "x", "model": "m", "api_key": "sk-1"}, "no file holds keys"),
        ({"name": "x", "model": "m", "key": "sk-proj-abc"}, "looks like the key itself"),
        ({"name": "x", "model": "m", "key": "0123456789abcdef0123456789abcdef"}, "looks like"),
        ({"name": "x", "model": "m", "base_url": "ftp://x"}, r"providers\[0\].base_url"),
        ({"name": "x", "model": "m"}, "known address"),
        ({"name": "x", "model": "m", "base_url": "https://u:p@x/v1"}, "a name or a password"),
    ],
)
def test_a_provider_that_is_none_is_refused(
    workspace: Path, entry: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        chain_of(desk(workspace, entry))
    assert not any(entry.get(name, "\0") in str(error.value) for name in ("api_key", "key"))


def test_a_name_that_everybody_knows_needs_no_address(workspace: Path) -> None:
    here = desk(workspace, {"name": "openrouter", "model": "m"}, {"name": "ollama", "model": "m"})
    urls = [one.url for one in chain_of(here).providers]
    assert urls == ["https://openrouter.ai/api/v1", "http://127.0.0.1:11434/v1"]
