"""However a job ends, its outcome says so; nothing that it says or does is an error of the parent's."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from dino_os.tool_sandbox.policy import Limits, Policy, Walls
from dino_os.tool_sandbox.sandbox import Sandbox
from tests.tool_sandbox.conftest import Run, python

# What follows speaks on the job's own socket to the parent.
FRAME = """
import json, os
def send(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    os.write(3, len(body).to_bytes(4, "big") + body)
"""


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**70), 1.5, "", "é\n\u202e", [], {}, {"a": [1, {"b": None}]}, "x" * 300_000],
    ids=lambda value: repr(value)[:20],
)
def test_what_a_job_returns_comes_back(run: Run, value: Any) -> None:
    outcome = run(f"{value!r}")
    assert (outcome.cause, outcome.ok, outcome.code) == ("finished", True, 0)
    assert outcome.result == value
    assert not outcome.error


@pytest.mark.parametrize("size", [1 << 16, (1 << 16) + 1, 200_000, 3_000_000])
def test_a_long_result_comes_whole(run: Run, size: int) -> None:
    """However the last of it and the end of the job come together."""
    for _ in range(5):
        assert len(run(f"'x' * {size}").result or "") == size


@pytest.mark.parametrize(
    ("code", "cause", "status", "told"),
    [
        ("raise ValueError('no such gauge')", "finished", 0, "no such gauge"),
        ("import os; os._exit(3)", "finished", 3, "exited with code 3 without a result"),
        ("raise SystemExit(4)", "finished", 0, "called sys.exit(4)"),
        ("import os; os.kill(os.getpid(), 9)", "killed", -9, "killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "killed", -40, "killed by signal 40"),
        ("import os; os.abort()", "killed", -6, "killed by SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "killed", -11, "killed by SIGSEGV"),
        ("bytearray(3 << 30)", "memory", 0, ""),
        ("open('/etc/shadow')", "denied", 0, "Permission denied|No such file"),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", "denied", 0, "not permitted"),
        ("import os; os.execv('/bin/true', ['true'])", "denied", 0, "not permitted"),
    ],
)  # fmt: skip
def test_each_end_has_its_cause(run: Run, code: str, cause: str, status: int, told: str) -> None:
    outcome = run(code, memory_bytes=1 << 30)
    if "No such file" in str(outcome.error):  # with namespaces it is not even there
        cause = "finished"
    assert (outcome.cause, outcome.ok, outcome.code) == (cause, False, status)
    assert any(part in outcome.error["message"] for part in told.split("|"))
    assert outcome.result is None


def test_a_job_that_does_not_end_is_ended(run: Run) -> None:
    began = time.monotonic()
    outcome = run(
        """
        import os, signal, time
        for number in set(range(1, 65)) - {9, 19, 32, 33}:
            signal.signal(number, signal.SIG_IGN)
        while True:
            if os.fork() == 0:
                os.setsid()
            time.sleep(100)
        """,
        timeout_s=0.5,
    )
    assert (outcome.cause, outcome.ok) == ("timeout", False)
    assert "stopped after 0.5 s" in outcome.error["message"]
    assert 0.4 < outcome.seconds <= time.monotonic() - began


def test_the_memory_of_all_its_processes_counts_together(run: Run) -> None:
    outcome = run(
        """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                break
        held = b"x" * (100 << 20)
        time.sleep(60)
        """,
        memory_bytes=300 << 20,
    )
    assert outcome.cause == "memory"
    assert "314,572,800 bytes" in outcome.error["message"]


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("while True: held.write(bytes(1 << 20)); held.flush()", {"scratch_bytes": 20 << 20}),
        ("for i in range(10**6): open(f'{home}/{i}', 'w').close()", {"scratch_files": 300}),
    ],
    ids=["bytes", "files"],
)
def test_its_folder_takes_so_much_and_no_more(
    run: Run, desk: Path, code: str, limit: dict[str, int]
) -> None:
    """Where the folder is a file system of its own the kernel says so; else it is stopped."""
    home = "import os, time\nhome = os.environ['HOME']\nheld = open(f'{home}/held', 'wb')\n"
    outcome = run(f"{home}{code}\ntime.sleep(60)", **limit)
    assert not outcome.ok
    assert (
        "No space left" in outcome.error["message"]
        or "than its folder holds" in outcome.error["message"]
    )
    assert run("1", **limit).ok


def test_output_is_kept_up_to_its_limit_and_the_rest_counted(run: Run) -> None:
    heard: list[bytes] = []
    code = "import sys\nprint('x' * 300_000)\nprint('last', file=sys.stderr)\n1"
    outcome = run(code, output_bytes=1000, on_output=heard.append)
    assert outcome.output == b"x" * 1000
    assert outcome.output_cut == 300_001 + 5 - 1000
    assert b"".join(heard) == outcome.output  # and no more of it is shown
    assert outcome.result == 1
    assert run("print('é')").output == "é\n".encode()


def test_a_flood_of_output_does_not_hold_up_its_end(run: Run) -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    outcome = run(code, timeout_s=0.5, output_bytes=10)
    assert outcome.cause == "timeout"
    assert outcome.output_cut > 1 << 20


def test_peak_memory_is_what_it_used(run: Run) -> None:
    little = run("1").peak_bytes
    much = run("x = b'x' * (50 << 20)\n1").peak_bytes
    assert 2 << 20 < little < 50 << 20
    assert 45 << 20 < much - little < 80 << 20


def test_time_is_what_it_used(run: Run) -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass"
    outcome = run(code)
    assert outcome.cpu_s >= 0.15
    assert outcome.seconds >= 0.15


def test_a_process_may_not_compute_for_ever(run: Run) -> None:
    outcome = run("while True: pass", cpu_s=1)
    assert outcome.cause == "killed"
    assert outcome.code in {-9, -24}


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"file_bytes": 1 << 20}, "open(os.environ['HOME'] + '/f', 'wb').write(bytes(2 << 20))"),
        ({"open_files": 20}, "kept = [os.dup(1) for _ in range(30)]"),
        ({"processes": 5}, "for _ in range(20): os.fork() or time.sleep(5) or os._exit(0)"),
    ],
    ids=["file", "descriptors", "processes"],
)
def test_each_limit_of_a_process_holds(run: Run, limit: dict[str, int], code: str) -> None:
    outcome = run(f"import os, time\n{code}", **limit)
    assert not outcome.ok
    assert outcome.error.get("type") in {None, "OSError", "BlockingIOError"}
    raised = run("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))")
    assert raised.error["type"] in {"ValueError", "PermissionError"}


def test_what_a_program_does_is_refused_named_and_counted(run: Run) -> None:
    outcome = run(
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        [libc.unshare(0x10000000), libc.unshare(0x10000000), libc.ptrace(0, 0, 0, 0)]
        """
    )
    assert outcome.result == [-1, -1, -1]
    assert outcome.refused == {"unshare": 2, "ptrace": 1}
    assert not run("1").refused


def test_a_job_that_goes_on_making_refused_calls_is_stopped(run: Run) -> None:
    code = "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.unshare(0x10000000)"
    outcome = run(code)
    assert outcome.cause == "denied"
    assert "went on" in outcome.error["message"]


@pytest.mark.parametrize(
    "error",
    ["boo", [1], 5, None, {}, {"type": {"a": 1}, "message": 7, "trace": 5, "where": []},
     {"trace": [1, 2]}, {"message": "x" * 10**6, "type": "y" * 10**6}],
    ids=lambda error: repr(error)[:15],
)  # fmt: skip
def test_a_forged_error_is_an_error_like_any_other(run: Run, error: Any) -> None:
    outcome = run(f"{FRAME}\nsend({{'done': {{'ok': False, 'error': {error!r}}}}})\nos._exit(0)")
    assert (outcome.cause, outcome.ok) == ("finished", False)
    assert isinstance(outcome.error["message"], str)
    assert len(json.dumps(dict(outcome.error))) < 100_000
    assert all(isinstance(line, str) for line in outcome.error.get("trace", []))


@pytest.mark.parametrize(
    "body",
    [b"GET / HTTP/1.0", b"[]", b"{}", b'{"done": 1}', b'{"call": []}', b'{"ended": {"status": 0}}',
     b'{"done": {"result": NaN}}', b'{"ready": true}'],
)  # fmt: skip
def test_what_is_no_frame_of_a_jobs_ends_it(run: Run, body: bytes) -> None:
    outcome = run(f"{FRAME}\nsend({body!r})\nimport time; time.sleep(60)", on_call=lambda _: {})
    assert outcome.cause == "denied"
    assert "protocol" in outcome.error["message"]


def test_a_second_result_breaks_the_protocol(run: Run) -> None:
    """Whoever forges one has none."""
    code = f"{FRAME}\nsend({{'done': {{'ok': True, 'result': 'mine'}}}})\n'its own'"
    outcome = run(code)
    assert (outcome.cause, outcome.ok, outcome.result) == ("denied", False, None)


def test_a_result_of_a_job_that_was_stopped_does_not_count(run: Run) -> None:
    code = f"{FRAME}\nsend({{'done': {{'ok': True, 'result': 1}}}})\nimport time; time.sleep(60)"
    outcome = run(code, timeout_s=0.3)
    assert (outcome.cause, outcome.ok, outcome.result) == ("timeout", False, None)


@pytest.mark.parametrize("size", [2**20 + 1, 2**31, 2**32 - 1])
def test_a_frame_longer_than_the_limit_is_never_kept(run: Run, size: int) -> None:
    head = struct.pack("!I", size)
    code = f"import os\nos.write(3, {head!r})\nwhile True: os.write(3, bytes(65536))"
    outcome = run(code, result_bytes=1 << 20)
    assert outcome.cause == "denied"


def test_a_result_longer_than_the_limit_is_an_error(run: Run) -> None:
    outcome = run("'x' * (2 << 20)", result_bytes=1 << 20)
    assert outcome.error["message"] == "its result is larger than 1 MiB"


@pytest.mark.parametrize("value", ["object()", "float('nan')", "'\\ud800'", "{1: 2}[1]", "deep"])
def test_code_whose_value_is_no_json_has_no_result(run: Run, value: str) -> None:
    code = f"deep = []\nfor _ in range(300): deep = [deep]\n{value}"
    outcome = run(code)
    if value == "deep":
        assert "deep" in outcome.error["message"]
    elif value == "'\\ud800'":
        assert outcome.error["type"] == "UnicodeEncodeError"
    else:
        assert outcome.ok
        assert outcome.result == (2 if value.startswith("{") else None)


def test_a_traceback_shows_the_lines_of_the_code_it_was_given(run: Run) -> None:
    outcome = run("def inner():\n    raise KeyError('deep')\n\ninner()")
    assert outcome.error["type"] == "KeyError"
    assert outcome.error["where"] == "<code>:2"
    assert "dino_os" not in "".join(outcome.error["trace"])


def test_an_answer_that_has_no_form_is_an_error_of_the_calls(run: Run) -> None:
    """And the job goes on."""
    code = "from dino_os import inside\ntry: inside.connection().call('a', 'b')\nexcept Exception as e: said = str(e)\nsaid"
    for answer in ({"answer": object()}, {"answer": "\ud800"}, {"answer": float("inf")}):
        outcome = run(code, on_call=lambda _, answer=answer: answer)
        assert "no form in JSON" in outcome.result


def test_a_job_that_fetches_no_answers_holds_nobody_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dino_os.tool_sandbox.run._GRACE_S", 0.3)
    code = f"{FRAME}\nwhile True: send({{'call': {{'part': 'a'}}}})"
    outcome = run(code, on_call=lambda _: {"answer": "x" * 100_000})
    assert outcome.cause == "denied"


def test_a_keeper_that_hangs_is_killed(
    workspace: Path, walls: Walls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the parent that ends what does not end itself."""
    from dino_os.errors import SandboxError
    from tests.tool_sandbox.processes import stop

    monkeypatch.setattr("dino_os.tool_sandbox.run._GRACE_S", 0.2)
    monkeypatch.setattr("dino_os.tool_sandbox.confined._END_S", 0.2)
    policy = Policy(workspace, limits=Limits(timeout_s=0.5))
    with Sandbox(walls) as sandbox:

        def hang(_: object) -> dict[str, Any]:
            stop(keepers[0])
            return {}

        keepers: list[int] = []
        made = sandbox._keeper(policy, {})
        keepers.append(made.pid)
        monkeypatch.setattr(sandbox, "_keeper", lambda *_: made)
        code = "from dino_os import inside\ninside.connection().call('a', 'b')\nimport time; time.sleep(60)"
        with pytest.raises(SandboxError, match="does not end"):
            sandbox.run(policy, python(code), on_call=hang)
    assert not Path(f"/proc/{made.pid}").exists()
