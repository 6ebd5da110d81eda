"""Nothing is allowed that was not granted, and whatever is asked is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dino_os import inside
from dino_os.errors import Denied, InvalidInput, NotFound, SecurityError
from dino_os.security_gateway import AuditEntry, SecurityGateway
from dino_os.security_gateway.access import SCOPES
from dino_os.security_gateway.gateway import METHODS, Gateway
from dino_os.security_gateway.model import RateLimited
from dino_os.workspace import Workspace
from tests.security_gateway.conftest import CANARY, Opened, leaks

SKILL = "skill:forecast"


@pytest.fixture
def face(workspace: Path, gateway: Gateway) -> SecurityGateway:
    return SecurityGateway(workspace=Workspace(workspace))


CALLS: dict[str, dict[str, Any]] = {
    "set_key": {"service": "weather", "key": "x"},
    "get_key": {"service": "weather"},
    "delete_key": {"service": "weather"},
    "key_history": {"service": "weather"},
    "stage_key": {"service": "weather"},
    "promote_key": {"service": "weather", "version": 1},
    "abandon_key": {"service": "weather", "version": 1},
    "rollback_key": {"service": "weather"},
    "grant_permission": {"entity": SKILL, "permission": "admin"},
    "revoke_permission": {"entity": "a", "permission": "read"},
    "get_audit_log": {},
}


@pytest.mark.parametrize("method", CALLS)
def test_one_without_permission_is_denied_and_that_is_recorded(opened: Opened, method: str) -> None:
    opened().set_key("weather", CANARY)
    with pytest.raises(Denied):
        opened().answer(method, CALLS[method], SKILL)
    newest = opened().get_audit_log(1)[0]
    assert (newest["action"], newest["entity"], newest["result"]) == ("key_denied", SKILL, "denied")


def test_every_method_is_tried_with_nothing_granted(opened: Opened) -> None:
    """What is not denied tells nothing that is not one's own."""
    opened().set_key("weather", CANARY)
    free = METHODS - CALLS.keys()
    assert free == {
        "list_keys", "describe_keys", "can_execute", "get_permissions", "has_permission", "log_action",
    }  # fmt: skip
    gateway = opened()
    assert gateway.answer("list_keys", {}, SKILL) == []
    assert gateway.answer("describe_keys", {}, SKILL) == []
    assert gateway.answer("has_permission", {"scope": "read", "name": "memory_get"}, SKILL) is False


@pytest.mark.parametrize(
    "method", ["relock", "accept", "redactor", "answer", "_write", "vault", "log"]
)
def test_what_is_the_users_own_cannot_be_asked_for_from_inside(opened: Opened, method: str) -> None:
    with pytest.raises(InvalidInput, match="no method"):
        opened().answer(method, {}, SKILL)


def test_nobody_can_say_that_he_is_another(opened: Opened) -> None:
    opened().set_key("weather", CANARY)
    with pytest.raises(Denied):
        opened().answer("get_key", {"service": "weather", "asker": "user"}, SKILL)


@pytest.mark.parametrize(
    ("granted", "fits"),
    [
        ("key:weather", True),
        ("key:wea*", True),
        ("key:*", True),
        ("key_management", True),
        ("admin", True),
        ("key:weathe", False),
        ("key:weather2", False),
        ("tool:weather", False),
        ("config_write", False),
        ("execute", False),
    ],
)
def test_a_key_is_handed_out_where_it_was_granted(opened: Opened, granted: str, fits: bool) -> None:
    opened().set_key("weather", CANARY)
    opened().set_key("other", CANARY)
    assert opened().grant_permission(SKILL, granted)
    assert not opened().grant_permission(SKILL, granted)
    if fits:
        assert opened().answer("get_key", {"service": "weather"}, SKILL) == CANARY
        assert "weather" in opened().answer("list_keys", {}, SKILL)
    assert opened().revoke_permission(SKILL, granted)
    assert not opened().revoke_permission(SKILL, granted)
    with pytest.raises(Denied):
        opened().answer("get_key", {"service": "weather"}, SKILL)


@pytest.mark.parametrize(
    ("granted", "can"),
    [
        (["execute"], {"python", "shell", "file", "http", "mine", "tool_sandbox", "api_call"}),
        (["tool_sandbox"], {"python", "shell", "file", "mine", "tool_sandbox"}),
        (["api_call"], {"http", "api_call"}),
        (["tool:python", "tool:m*"], {"python", "mine"}),
        (["read"], {"memory_get"}),
        (["memory_get"], {"memory_get"}),
        (["admin", "write"], set()),
        ([], set()),
    ],
)
def test_a_tool_may_be_used_where_it_was_granted(
    face: SecurityGateway, granted: list[str], can: set[str]
) -> None:
    for permission in granted:
        face.grant_permission("agent", permission)
    tools = ["python", "shell", "file", "http", "mine", "tool_sandbox", "api_call", "memory_get"]
    assert {tool for tool in tools if face.can_execute(tool, "agent")} == can
    assert face.get_permissions("agent") == sorted(granted)
    assert all(face.can_execute(tool, "user") for tool in tools)
    assert not any(face.can_execute(tool, "stranger") for tool in tools)


def test_scopes_cover_what_they_say(face: SecurityGateway) -> None:
    every = [name for names in SCOPES.values() for name in names]
    for scope, names in SCOPES.items():
        assert [name for name in every if face.has_permission(scope, name)] == list(names)
    assert not face.has_permission("raed", "memory_get")
    assert not face.has_permission("read", "everything")


@pytest.mark.parametrize(
    ("permission", "guess"),
    [
        ("raed", "'read'"),
        ("memory_gte", "'memory_get'"),
        ("key:", ""),
        ("key:a b", ""),
        ("*", ""),
        ("key:a*b", ""),
    ],
)
def test_a_permission_that_does_not_exist_is_refused(
    face: SecurityGateway, permission: str, guess: str
) -> None:
    with pytest.raises(InvalidInput, match=f"no permission named.*{guess}"):
        face.grant_permission("agent", permission)
    assert face.get_permissions("agent") == []


@pytest.mark.parametrize("entity", ["", "a b", "a\n", "x" * 129, None])
def test_what_is_no_name_is_refused(face: SecurityGateway, entity: Any) -> None:
    with pytest.raises(InvalidInput, match="not a name of an entity"):
        face.grant_permission(entity, "read")
    with pytest.raises(InvalidInput, match="not a name of a key"):
        face.set_key(entity, CANARY)


def test_grants_outlive_the_process(opened: Opened) -> None:
    opened().grant_permission("agent", "read")
    opened().grant_permission("agent", "tool:python")
    opened().revoke_permission("agent", "read")
    gateway = opened()
    assert gateway.get_permissions("agent") == ["tool:python"]
    gateway.log.save_snapshot()
    assert opened().get_permissions("agent") == ["tool:python"]
    assert opened().log.check_snapshot() is None
    assert gateway.get_permissions("user") == list(SCOPES)


def test_one_who_asks_too_often_waits(workspace: Path) -> None:
    """Per entity and key, over processes; and refusals do not fill the disk."""
    (workspace / "config.yaml").write_text(
        "security:\n  rate_limit:\n    requests_per_minute: 1\n    burst: 3\n"
    )
    gateway = Workspace(workspace).security
    gateway.set_key("a", CANARY)
    gateway.set_key("b", CANARY)
    gateway.grant_permission(SKILL, "key:a")
    assert [Workspace(workspace).security.get_key("a") for _ in range(3)] == [CANARY] * 3
    for _ in range(10):
        with pytest.raises(RateLimited, match="too often") as caught:
            Workspace(workspace).security.get_key("a")
    assert caught.value.exit_code == 4
    assert gateway.get_key("b") == CANARY
    assert gateway.get_key("a", asker=SKILL) == CANARY
    refusals = [e for e in gateway.get_audit_log() if e["result"] == "rate_limited"]
    assert len(refusals) == 3


def test_the_record_tells_who_asked_for_what(face: SecurityGateway) -> None:
    before = datetime.now(UTC)
    face.set_key("a", CANARY)
    face.get_key("a", masked=True)
    face.log_action("deployed", "agent", {"where": "site B", "n": 3})
    entries = face.get_audit_log()
    assert [e.action for e in entries] == ["deployed", "key_accessed", "key_set"]
    assert isinstance(entries[0], AuditEntry)
    assert (entries[0].entity, entries[0].result) == ("agent", "ok")
    assert entries[0].details == {"where": "site B", "n": 3}
    assert entries[1].details == {"key": "a", "version": 1, "masked": True}
    assert before - timedelta(seconds=1) < entries[0].timestamp <= datetime.now(UTC)
    assert [e.action for e in face.get_audit_log(limit=1)] == ["deployed"]
    assert face.get_audit_log(limit=0) == []


def test_what_is_logged_is_searched_for_values(
    face: SecurityGateway, opened: Opened, workspace: Path
) -> None:
    face.set_key("a", CANARY)
    face.log_action(f"used {CANARY}", "agent", {"header": f"Bearer {CANARY}", CANARY: 1})
    assert not leaks((workspace / "memory" / "security_log.jsonl").read_bytes())
    (entry,) = face.get_audit_log(1)
    assert entry.details["header"] == "Bearer [redacted]"
    opened().vault._master._file().unlink()
    opened().log_action(f"used {CANARY}", "agent", {"header": CANARY})
    assert not leaks((workspace / "memory" / "security_log.jsonl").read_bytes())
    assert opened().get_audit_log(1)[0]["action"] == "unchecked"


def test_one_inside_speaks_for_itself_only(opened: Opened) -> None:
    arguments = {"action": "paid", "entity": "user", "details": {"sum": 5}}
    opened().answer("log_action", arguments, SKILL)
    newest = opened().get_audit_log(1)[0]
    assert newest["entity"] == SKILL
    assert newest["details"] == {"sum": 5, "on_behalf_of": "user"}


def test_an_event_of_another_part_is_an_entry_too(opened: Opened) -> None:
    """Without a line here: what names an entity is in the audit log."""
    opened().log.note("run_denied", SKILL, "denied", skill="forecast", missing=["network"])
    (entry,) = opened().get_audit_log(1)
    assert entry["action"] == "run_denied"
    assert entry["details"] == {"skill": "forecast", "missing": ["network"]}


def test_keys_that_are_not_there(opened: Opened, workspace: Path) -> None:
    assert opened().get_key("weather") is None
    assert opened().list_keys() == []
    (workspace / "config.yaml").write_text("security: {require_keys: true}\n")
    opened().set_key("weather", CANARY)
    with pytest.raises(NotFound, match="did you mean 'weather'"):
        opened().get_key("wether")


def test_access_is_left_unrecorded_only_where_the_operator_says_so(
    opened: Opened, workspace: Path
) -> None:
    opened().set_key("a", CANARY)
    (workspace / "config.yaml").write_text("security: {audit_log: false}\n")
    assert opened().get_key("a") == CANARY
    assert [e["action"] for e in opened().get_audit_log()] == ["key_set"]
    with pytest.raises(Denied):
        opened().get_key("a", asker=SKILL)
    assert opened().get_audit_log(1)[0]["result"] == "denied"


def test_expiry_is_a_time_or_a_while(face: SecurityGateway) -> None:
    for expires in (timedelta(days=1), datetime.now(UTC) + timedelta(days=1), None):
        assert face.set_key("a", CANARY, expires=expires)
        assert face.get_key("a", masked=True)
    with pytest.raises(InvalidInput, match="expired already"):
        face.set_key("a", CANARY, expires=timedelta(0))


# --- inside a sandbox ---------------------------------------------------------------------------


class Broker:
    """The parent, which knows which skill is asking; what goes through is JSON."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.asked: list[str] = []

    def call(self, part: str, method: str, /, **arguments: Any) -> Any:
        assert part == "security"
        self.asked.append(method)
        arguments = json.loads(json.dumps(arguments))
        return json.loads(json.dumps(self._gateway.answer(method, arguments, SKILL)))


@pytest.fixture
def broker(gateway: Gateway) -> Iterator[Broker]:
    broker = Broker(gateway)
    inside.connect(broker)
    yield broker
    inside.connect(None)


def test_inside_a_sandbox_every_method_goes_to_the_broker(
    broker: Broker, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    face = SecurityGateway()
    gateway.set_key("weather", CANARY)
    with pytest.raises(Denied):
        face.get_key("weather")
    gateway.grant_permission(SKILL, "admin")
    assert face.get_key("weather") == CANARY
    assert face.set_key("b", "value b", {"x": 1}, expires=timedelta(days=1))
    assert face.list_keys() == ["b", "weather"]
    assert face.rotate_key("b", "value c", test=lambda new: new == "value c")
    assert face.get_key("b") == "value c"
    assert not face.rotate_key("b", "value d", test=lambda _: False)
    assert face.rollback_key("b") == 1
    assert face.delete_key("b")
    assert face.grant_permission("agent", "read")
    assert face.get_permissions("agent") == ["read"]
    assert face.can_execute("memory_get", "agent")
    assert face.has_permission("admin", "key_management")
    assert not face.has_permission("read", "memory_get")
    assert face.revoke_permission("agent", "read")
    face.log_action("done", SKILL)
    assert face.get_audit_log(1)[0].entity == SKILL
    public = {name for name in vars(SecurityGateway) if not name.startswith("_")}
    assert {*broker.asked} >= public - {"rotate_key"} | {"stage_key", "promote_key", "abandon_key"}


def test_the_face_imports_nothing_that_takes_time() -> None:
    import subprocess
    import sys

    from tests.conftest import REPOSITORY, environment

    code = "import sys; import dino_os.security_gateway; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"cryptography", "msgspec", "orjson", "keyring", "dino_os.workspace", "engines.engine"}
    assert not heavy & set(done.stdout.split())


def test_outside_it_finds_the_workspace(
    gateway: Gateway, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINO_HOME", str(workspace))
    assert SecurityGateway().set_key("a", CANARY)
    assert gateway.get_key("a") == CANARY
    with pytest.raises(SecurityError):
        SecurityGateway().rollback_key("a")
