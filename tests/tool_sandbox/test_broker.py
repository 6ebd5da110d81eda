"""The broker: what a sandboxed skill can ask of the parent, and how little else."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os import broker as broker_module
from dino_os.broker import Broker
from dino_os.grants import Permissions, Request
from dino_os.security_gateway.access import SCOPES
from dino_os.tool_sandbox.policy import Limits, Policy
from dino_os.tool_sandbox.sandbox import Outcome, Sandbox
from dino_os.workspace import Workspace
from engines.journal import Journal
from tests.conftest import Dino
from tests.tool_sandbox.conftest import python

TABLE = broker_module._CALLS
PERMISSIONS = {name for names in SCOPES.values() for name in names}


class Gateway:
    """Lets one entity do what it is told to, and remembers who asked."""

    def __init__(self, *may: str) -> None:
        self._may = may
        self.asked: list[str] = []

    def may(self, entity: str, permission: str) -> bool:
        self.asked.append(entity)
        return permission in self._may

    def answer(self, method: str, arguments: Mapping[str, Any], asker: str) -> Any:
        self.asked.append(asker)
        return [method, asker]


class Part:
    """Has every method of the table, and some that are nobody's business."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def method(**arguments: Any) -> str:
            self.called.append(name)
            return name

        return method


def made(*may: str, clock: Any = None) -> tuple[Broker, Gateway, Part]:
    gateway, part = Gateway(*may), Part()
    parts = dict.fromkeys(TABLE, lambda: part)
    keywords = {"clock": clock} if clock else {}
    return Broker(parts, gateway, "skill:mine", **keywords), gateway, part  # type: ignore[arg-type]


def call(part: Any, method: Any, **arguments: Any) -> dict[str, Any]:
    return {"part": part, "method": method, "arguments": arguments}


# --- the table -----------------------------------------------------------------------------------


def test_every_row_is_a_method_that_its_part_offers(workspace: Path) -> None:
    parts = Workspace(workspace).parts
    for name, methods in TABLE.items():
        if name in parts:
            part = parts[name]()
            assert set(methods) <= part.CALLS
            assert all(callable(getattr(part, method)) for method in methods)


def test_every_permission_in_the_table_is_one_that_can_be_granted() -> None:
    needed = {permission for methods in TABLE.values() for permission in methods.values()}
    assert needed - {""} <= PERMISSIONS


def test_what_changes_something_needs_a_permission(workspace: Path) -> None:
    free = {
        (part, name) for part, row in TABLE.items() for name, needed in row.items() if not needed
    }
    assert free == {("bus", "ping"), ("tools", "list_tools")}


def test_no_method_of_a_part_takes_an_asker(workspace: Path) -> None:
    """So that no message can name one."""
    parts = Workspace(workspace).parts
    for name, methods in TABLE.items():
        for method in methods if name in parts else ():
            taken = inspect.signature(getattr(parts[name](), method)).parameters
            assert not {"asker", "entity"} & set(taken)


# --- deny by default -----------------------------------------------------------------------------

ROWS = [(part, method, need) for part, row in TABLE.items() for method, need in row.items()]


@pytest.mark.parametrize(("part", "method", "need"), ROWS)
def test_a_call_needs_its_own_permission_and_no_other(part: str, method: str, need: str) -> None:
    broker, gateway, called = made(*(PERMISSIONS - {need}))
    answer = broker.answer(call(part, method))
    if need:
        assert answer["error"]["type"] == "Denied"
        assert need in answer["error"]["message"]
        assert f"dino grant mine --permission {need}" in answer["error"]["hint"]
        assert not called.called
        broker, gateway, called = made(need)
        answer = broker.answer(call(part, method))
        assert set(gateway.asked) == {"skill:mine"}
    assert answer == {"answer": method}
    assert called.called == [method]


names = st.text(max_size=60) | st.sampled_from(
    [
        "memory",
        "bus",
        "security",
        "get",
        "clear",
        "backup",
        "restore",
        "__class__",
        "_read",
        "close",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
)


@given(
    part=names,
    method=names,
    arguments=st.dictionaries(st.text(max_size=8), json_values, max_size=3),
)
def test_what_stands_in_no_row_is_never_called(
    part: str, method: str, arguments: dict[str, Any]
) -> None:
    broker, _, called = made(*PERMISSIONS)
    answer = broker.answer({"part": part, "method": method, "arguments": arguments})
    if method not in TABLE.get(part, ()):
        assert not called.called
    if part != "security" and method not in TABLE.get(part, ()):
        assert set(answer) == {"error"}


@given(st.dictionaries(st.sampled_from(["part", "method", "arguments", "x"]), json_values))
def test_whatever_comes_is_answered(message: dict[str, Any]) -> None:
    """Never raised: an answer, or an error with its kind and message."""
    broker, _, _ = made(*PERMISSIONS)
    answer = broker.answer(message)
    assert set(answer) in ({"answer"}, {"error"})
    if "error" in answer:
        assert {"type", "message"} <= set(answer["error"])
    assert broker.counted.total() == len(broker.calls) == 1


@pytest.mark.parametrize(
    "arguments",
    [{"asker": "user"}, {"entity": "user"}, {"self": 1}, {"asker": "skill:other", "key": "a"},
     {"key": 5}, {"key": None}, {}, {"key": "a", "more": 1}, {"key": "k" * 10**6}, {"\ud800": 1}],
    ids=lambda arguments: repr(arguments)[:25],
)  # fmt: skip
def test_arguments_that_a_method_does_not_take_are_an_error(
    workspace: Path, arguments: dict[str, Any]
) -> None:
    broker = real_broker(workspace, "memory_get")
    answer = broker.answer(call("memory", "get", **arguments))
    assert answer["error"]["type"] in {"InvalidInput", "MemoryLayerError"}


@pytest.mark.parametrize(
    "method", ["get_key", "can_execute", "get_permissions", "log_action", "has_permission"]
)
@pytest.mark.parametrize("forged", ["user", "skill:other", "", None, 5])
def test_nobody_can_ask_in_the_name_of_another(workspace: Path, method: str, forged: Any) -> None:
    own = Workspace(workspace)
    own.security.set_key("weather", "canary-1f2e")
    broker = own.broker(Request("mine", "0" * 64, Permissions()))
    given_ = {
        "get_key": {"service": "weather"},
        "can_execute": {"tool": "http", "entity": "user"},
        "get_permissions": {"entity": "skill:mine"},
        "log_action": {"action": "x", "entity": "user"},
        "has_permission": {"scope": "admin", "name": "key_management"},
    }[method]
    answer = broker.answer(call("security", method, **given_, asker=forged))
    assert "canary-1f2e" not in json.dumps(answer)
    if method == "get_key":
        assert answer["error"]["type"] == "Denied" or "permission" in answer["error"]["message"]
    if method == "has_permission":
        assert answer == {"answer": False}
    if method == "log_action":
        assert own.security.log.latest(1)[0].entity == "skill:mine"


def real_broker(workspace: Path, *permissions: str) -> Broker:
    own = Workspace(workspace)
    own.security.lend("skill:mine", list(permissions))
    return Broker(own.parts, own.security, "skill:mine")


def test_a_skill_brings_no_vector_into_the_memory(workspace: Path) -> None:
    """One of them could have everything found, or nothing."""
    broker = real_broker(workspace, "memory_add", "memory_get")
    for method, more in (
        ("add", {"key": "k", "value": 1, "vector": [1.0]}),
        ("add_many", {"items": [{"key": "k", "value": 1, "vector": [1.0]}]}),
    ):
        assert "no vectors" in broker.answer(call("memory", method, **more))["error"]["message"]
    assert broker.answer(call("memory", "list")) == {"answer": []}


# --- its limits ----------------------------------------------------------------------------------


def test_so_many_calls_a_second_are_answered_and_no_more() -> None:
    now = [0.0]
    broker, _, called = made("memory_get", clock=lambda: now[0])
    answers = [broker.answer(call("memory", "get")) for _ in range(4500)]
    assert sum("answer" in answer for answer in answers) == 4000
    assert "too many calls" in answers[-1]["error"]["message"]
    now[0] = 0.1
    answers = [broker.answer(call("memory", "get")) for _ in range(300)]
    assert sum("answer" in answer for answer in answers) == 200
    assert len(called.called) == 4200


def test_a_run_may_call_so_often_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "_MOST_CALLS", 10)
    broker, _, called = made("memory_get")
    for _ in range(20):
        broker.answer(call("memory", "get"))
    assert len(called.called) == 10


def test_calls_are_recorded_up_to_a_number_and_counted_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By name and outcome: what they carried may be anything."""
    monkeypatch.setattr(broker_module, "_MOST_RECORDED", 3)
    broker, _, _ = made("memory_get")
    for method in ("get", "add", "nothing", "get", "x" * 10_000):
        broker.answer(call("memory", method, key="canary"))
    assert broker.calls == [
        {"call": "memory.get", "outcome": "ok"},
        {"call": "memory.add", "outcome": "denied"},
        {"call": "unknown", "outcome": "denied"},
    ]
    assert broker.counted == {"ok": 2, "denied": 3}


def test_a_long_name_is_recorded_short() -> None:
    broker, _, _ = made()
    broker.answer(call("p" * 10_000, "m" * 10_000))
    assert len(broker.calls[0]["call"]) < 110


def test_a_parts_own_fault_is_told_without_its_words() -> None:
    """They may hold what the skill is not to know."""

    class Faulty:
        def get(self) -> None:
            raise RuntimeError("canary")

    broker = Broker({"memory": Faulty}, Gateway("memory_get"), "skill:mine")  # type: ignore[arg-type]
    answer = broker.answer(call("memory", "get"))
    assert answer == {"error": {"type": "SandboxError", "message": "memory.get: RuntimeError"}}


# --- through a real run --------------------------------------------------------------------------

RAW = """
import json, os, struct
def send(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    os.write(3, struct.pack("!I", len(body)) + body)
def answer():
    size, = struct.unpack("!I", os.read(3, 4))
    body = b""
    while len(body) < size: body += os.read(3, size - len(body))
    return json.loads(body)
def ask(part, method, **arguments):
    send({"call": {"part": part, "method": method, "arguments": arguments}})
    return answer()
"""


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox(warm=True) as sandbox:
        yield sandbox


def hostile(sandbox: Sandbox, workspace: Path, code: str, broker: Broker) -> Outcome:
    limits = Limits(timeout_s=20, result_bytes=1 << 20)
    job = python(f"{RAW}\n{code}")
    return sandbox.run(Policy(workspace, limits=limits), job, on_call=broker.answer)


def test_a_call_goes_through_and_comes_back(sandbox: Sandbox, workspace: Path) -> None:
    broker = real_broker(workspace, "memory_get", "memory_add")
    code = "[ask('memory', 'add', key='é', value={'a': [1]}), ask('memory', 'get', key='é')]"
    assert hostile(sandbox, workspace, code, broker).result == [
        {"answer": None},
        {"answer": {"a": [1]}},
    ]


@pytest.mark.parametrize(
    "code",
    [
        "send({'call': 5})",
        "send({'call': None})",
        "send({'entity': 'user', 'part': 'memory'})",
        "send(b'[' * 10_000 + b']' * 10_000)",
        "send({'call': json.loads('[' * 500 + ']' * 500)})",
        'send(b\'{"call": {"part": "\\\\ud800"}}\')',
        "os.write(3, b'POST / HTTP/1.1\\r\\n\\r\\n' * 1000)",
        "os.write(3, struct.pack('!I', 1 << 30))",
        "os.write(3, struct.pack('!I', 4) + b'\\xff' * 4)",
    ],
)
def test_what_is_no_call_ends_the_run_and_calls_nothing(
    sandbox: Sandbox, workspace: Path, code: str
) -> None:
    broker, _, called = made(*PERMISSIONS)
    outcome = hostile(sandbox, workspace, f"{code}\nimport time; time.sleep(60)", broker)
    assert outcome.cause == "denied"
    assert "protocol" in outcome.error["message"]
    assert not called.called


def test_half_a_frame_is_nothing(sandbox: Sandbox, workspace: Path) -> None:
    broker, _, called = made(*PERMISSIONS)
    code = "os.write(3, struct.pack('!I', 100) + b'{\"call\": ')\nos._exit(0)"
    outcome = hostile(sandbox, workspace, code, broker)
    assert (outcome.cause, outcome.ok) == ("finished", False)
    assert not called.called


def test_calls_of_wrong_kinds_are_answered_one_by_one(sandbox: Sandbox, workspace: Path) -> None:
    broker = real_broker(workspace, "memory_get")
    code = """
wrong = [None, 5, [], {}, "", "x" * 100, True, 1e300, 2**100]
said = []
for value in wrong:
    for part, method, arguments in ((value, "get", {}), ("memory", value, {}), ("memory", "get", value)):
        send({"call": {"part": part, "method": method, "arguments": arguments}})
        said.append(answer()["error"]["type"])
sorted(set(said))
"""
    assert set(hostile(sandbox, workspace, code, broker).result) <= {"InvalidInput", "Denied"}


def test_a_flood_of_calls_is_mostly_refused(sandbox: Sandbox, workspace: Path) -> None:
    broker, _, called = made("memory_get", clock=lambda: 0.0)
    code = """
answers = [ask("memory", "get", n=n) for n in range(4500)]
[sum("answer" in a for a in answers), sum("too many" in str(a.get("error")) for a in answers)]
"""
    outcome = hostile(sandbox, workspace, code, broker)
    assert outcome.result == [4000, 500]
    assert len(called.called) == 4000


def test_calls_are_made_one_at_a_time(sandbox: Sandbox, workspace: Path) -> None:
    """Many at once would be answered one by one, while nobody looks at the clock."""
    broker, _, called = made("memory_get")
    code = """
frame = {"call": {"part": "memory", "method": "get", "arguments": {}}}
for _ in range(8000): send(frame)
"""
    outcome = hostile(sandbox, workspace, code, broker)
    assert (outcome.cause, outcome.ok) == ("denied", False)
    assert len(called.called) < 8000


@pytest.mark.parametrize("method", ["list_tools", "execute"])
def test_whoever_fetches_no_answer_is_ended(sandbox: Sandbox, workspace: Path, method: str) -> None:
    """And leaves no thread behind in the parent."""
    broker, _, _ = made("tool_sandbox")
    before = threading.active_count()
    code = f"""
frame = {{"call": {{"part": "tools", "method": {method!r}, "arguments": {{}}}}}}
while True: send(frame)
"""
    outcome = hostile(sandbox, workspace, code, broker)
    assert (outcome.cause, outcome.ok) == ("denied", False)
    assert threading.active_count() == before


def test_what_a_run_sends_is_limited_in_all() -> None:
    broker, _, _ = made("memory_add")
    answers = [broker.answer(call("memory", "add", value="x" * 10**6)) for _ in range(80)]
    refused = [answer for answer in answers if "MiB" in str(answer.get("error"))]
    assert 10 < len(refused) < 20


def test_a_call_behind_the_result_breaks_the_protocol(sandbox: Sandbox, workspace: Path) -> None:
    broker = real_broker(workspace, "memory_get")
    code = "send({'done': {'ok': True, 'result': 1}})\nask('memory', 'get', key='a')"
    outcome = hostile(sandbox, workspace, code, broker)
    assert (outcome.cause, outcome.ok, outcome.result) == ("denied", False, None)


def test_a_skill_has_what_the_settings_lend_it_and_its_calls_are_recorded(
    dino: Dino, workspace: Path
) -> None:
    (workspace / "config.yaml").write_text("sandbox: {skill_permissions: [memory_get]}\n")
    (workspace / "skills" / "mine.py").write_text(
        "from dino_os import skill\nfrom dino_os.memory_layer import MemoryLayer\n"
        "@skill\ndef mine():\n    found = MemoryLayer().get('canary')\n"
        "    try: MemoryLayer().add('canary', 1)\n"
        "    except Exception as error: return [found, type(error).__name__, error.hint]\n"
    )
    assert dino("run", "mine", "--json").json["result"] == [
        None,
        "Denied",
        "allow it with: dino grant mine --permission memory_add",
    ]
    finished = list(Journal(workspace / "memory" / "runs.jsonl").events())[-1]
    assert finished["calls"] == [
        {"call": "memory.get", "outcome": "ok"},
        {"call": "memory.add", "outcome": "denied"},
    ]
    refused = list(Journal(workspace / "memory" / "security_log.jsonl").events())[-1]
    assert refused["event_type"] == "run_refused"
    assert refused["calls"] == [{"call": "memory.add", "outcome": "denied"}]
    dino("grant", "mine", "--permission", "memory_add")
    assert dino("run", "mine", "--json").json["result"] is None
    dino("revoke", "mine", "--permission", "memory_add")
    assert dino("run", "mine", "--json").json["result"][1] == "Denied"
