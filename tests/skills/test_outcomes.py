"""However a skill ends, it is told, recorded, and takes nobody with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal
from tests.conftest import Dino
from tests.skills.conftest import Write

CANARY = "canary-7f3a"


def runs(workspace: Path) -> list[dict[str, Any]]:
    """What the journal says of runs, oldest first."""
    events = Journal(workspace / "memory" / "runs.jsonl").events()
    return [dict(e) for e in events if e["event_type"].startswith("run_")]


@pytest.fixture
def held(workspace: Path) -> Path:
    """A pipe that some skills may hold open: its reader sees when the last of them is gone."""
    (workspace / "config.yaml").write_text(
        "sandbox: {grants: {forever: {writes: [out/]}, leaves: {writes: [out/]}}}\n"
    )
    (workspace / "out").mkdir()
    os.mkfifo(workspace / "out" / "held")
    return workspace / "out" / "held"


def everything(reader: int) -> bytes:
    """What was written until nobody was left to write."""
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()


@pytest.mark.parametrize(
    ("code", "told", "kind"),
    [
        ("raise ValueError('no such gauge')", "failed at mine.py:4: ValueError: no such", "ValueError"),
        ("raise OSError('key AKIA' + 'Q3EGRZ5N7WXKPLMT')", "OSError: key <aws_access_key>", "OSError"),
        ("raise SystemExit(3)", "called sys.exit(3)", "SystemExit"),
        ("import os; os._exit(3)", "its process exited with code 3 without a result", None),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed by SIGKILL", None),
        ("return object()", "TypeError: Object of type object", "TypeError"),
        ("return float('nan')", "ValueError: Out of range float", "ValueError"),
        ("import nothing_like_it", "ModuleNotFoundError", "ModuleNotFoundError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(): return f()\n    return f()", "RecursionError", "RecursionError"),
    ],
)  # fmt: skip
def test_a_skill_that_fails_says_how_and_where(
    dino: Dino, write: Write, code: str, told: str, kind: str | None
) -> None:
    """One line for people, the same as JSON, and the kind of it in the record."""
    workspace = write(f"@skill\ndef bad():\n    {code}\n").parent.parent
    refused = dino("run", "bad", code=1)
    assert told in refused.err
    assert len(refused.err.splitlines()) <= 2
    as_json = dino("run", "bad", "--json", code=1)
    assert as_json.json["outcome"] == "error"
    assert as_json.error["code"] == "skill_failed"
    finished = [run for run in runs(workspace) if run["event_type"] == "run_finished"]
    assert [(run["outcome"], run["error_type"]) for run in finished] == [("error", kind)] * 2


def test_what_to_do_about_it_is_the_skills_own_word(dino: Dino, write: Write) -> None:
    """Where it has one; nothing in it reaches the terminal that is no text."""
    write("""
        from dino_os.errors import InvalidInput

        @skill
        def bad(hint: str):
            raise InvalidInput("no such gauge", hint=hint)
    """)
    refused = dino("run", "bad", "--hint", "the gauges are in\x1b[2J data/gauges.csv", code=1)
    assert "InvalidInput: no such gauge" in refused.err
    assert "data/gauges.csv" in refused.err
    assert "\x1b" not in refused.err
    assert "--trace" in dino("run", "bad", "--hint", "", code=1).err
    assert len(dino("run", "bad", "--hint", "x" * 9_000, code=1).err) < 1_000


def test_a_traceback_is_shown_where_it_is_asked_for(dino: Dino, write: Write) -> None:
    write("def inner():\n    raise ValueError('deep')\n@skill\ndef bad():\n    inner()\n")
    shown = dino("run", "bad", "--trace", code=None)
    assert "in inner" in shown.err
    assert "dino_os" not in shown.err


def test_results_are_printed_as_people_and_programs_want_them(dino: Dino, write: Write) -> None:
    write(
        """
        @skill
        def text(): return "plain text"
        @skill
        def data(): return {"é": [1, None]}
        @skill
        def nothing(): pass
        @skill
        async def later(): return 5
        """
    )
    assert dino("run", "text").out == "plain text\n"
    assert json.loads(dino("run", "data").out) == {"é": [1, None]}
    assert dino("run", "nothing").out == ""
    assert dino("run", "later").out == "5\n"
    document = dino("run", "data", "--json").json
    assert document["outcome"] == "ok"
    assert set(document) == {
        "run_id",
        "skill",
        "outcome",
        "cause",
        "duration_s",
        "peak_memory_bytes",
        "sandbox",
        "result",
        "output",
        "output_cut_bytes",
        "error",
    }


def test_output_comes_through_without_the_terminals_controls(dino: Dino, write: Write) -> None:
    """A skill cannot clear the screen, forge a prompt or hide text."""
    write(
        """
        import sys
        @skill
        def loud():
            print("one\\x1b[2J\\x1b]0;title\\x07\\r", end="\\n")
            print("two\\u202e", file=sys.stderr)
            return "three\\x1b[31m"
        """
    )
    outcome = dino("run", "loud")
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out
    assert "\u202e" not in outcome.out
    assert [line[:3] for line in outcome.out.splitlines() if line.strip()] == ["one", "two", "thr"]
    assert "\x1b[2J" in dino("run", "loud", "--json").json["output"]


def test_a_megabyte_and_more_is_cut_and_that_is_said(
    dino: Dino, write: Write, workspace: Path
) -> None:
    (workspace / "config.yaml").write_text("sandbox: {output_bytes: 1000}\n")
    write("@skill\ndef wordy():\n    print('x' * 3_000_000)\n    return 'done'\n")
    document = dino("run", "wordy", "--json").json
    assert document["result"] == "done"
    assert len(document["output"]) == 1000
    assert document["output_cut_bytes"] == 3_000_001 - 1000
    assert "2,999,001 more bytes of output were dropped" in dino("run", "wordy").err


def test_a_result_beyond_all_measure_is_an_error(dino: Dino, write: Write) -> None:
    write("@skill\ndef huge(): return 'x' * (65 * 2**20)\n")
    assert "its result is larger than 64 MiB" in dino("run", "huge", code=1).err


def test_a_skill_that_never_ends_is_ended_with_all_it_started(
    dino: Dino, write: Write, workspace: Path, held: Path
) -> None:
    write(
        """
        import os, time
        @skill(writes=["out/"])
        def forever():
            held = os.open("out/held", os.O_WRONLY)
            if os.fork() == 0:
                os.setsid()
            os.write(held, b"begun")
            time.sleep(600)
        """
    )
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    refused = dino("run", "forever", "--timeout", "1s", code=124)
    assert "stopped after 1 s" in refused.err
    assert "--timeout" in refused.err
    assert everything(reader) == b"begun" * 2
    assert runs(workspace)[-1]["outcome"] == "timeout"
    assert (
        dino("run", "forever", "--timeout", "1s", "--json", code=124).json["outcome"] == "timeout"
    )


def test_what_a_skill_leaves_running_does_not_hold_the_command(
    dino: Dino, write: Write, workspace: Path, held: Path
) -> None:
    """The run ends with the skill; what it started in the background ends too."""
    write(
        """
        import os, time
        @skill(writes=["out/"])
        def leaves():
            os.open("out/held", os.O_WRONLY)
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(600)
                os._exit(0)
        """
    )
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    dino("run", "leaves", timeout_s=20)
    assert everything(reader) == b""
    assert runs(workspace)[-1]["outcome"] == "ok"


def test_an_interruption_ends_the_skill_and_is_recorded(
    started: Callable[..., subprocess.Popen[str]], write: Write, workspace: Path, held: Path
) -> None:
    """Ctrl-C: exit code 130, the child is gone, and the record says cancelled."""
    write(
        """
        import os, time
        @skill(writes=["out/"])
        def forever():
            held = os.open("out/held", os.O_WRONLY)
            os.write(held, b"begun")
            time.sleep(600)
        """
    )
    process = started("run", "forever")
    reader = os.open(held, os.O_RDONLY)
    assert os.read(reader, 10) == b"begun"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in err
    assert everything(reader) == b""
    assert [run.get("outcome") for run in runs(workspace)] == [None, "cancelled"]


def test_nothing_of_the_parents_environment_reaches_a_skill(dino: Dino, write: Write) -> None:
    """But what a program needs to find its way, and through which door it came."""
    write("import os\n@skill\ndef env(): return dict(os.environ)\n")
    found = dino("run", "env", "--json", env={"API_TOKEN": CANARY, "USER": "ada"}).json["result"]
    assert CANARY not in json.dumps(found)
    assert found["DINO_DOOR"] == "skill"
    assert found["USER"] == "ada"


def test_a_skill_works_in_the_workspace_and_has_no_input(
    dino: Dino, write: Write, workspace: Path
) -> None:
    write("import os, sys\n@skill\ndef where(): return [os.getcwd(), sys.stdin.read()]\n")
    assert json.loads(dino("run", "where", cwd=workspace / "skills").out) == [str(workspace), ""]


def test_a_skill_that_asks_for_little_memory_gets_no_more(dino: Dino, write: Write) -> None:
    write("@skill(memory='300MB')\ndef greedy(): return len(bytearray(10**9))\n")
    assert "MemoryError" in dino("run", "greedy", code=1).err


def test_the_record_holds_hashes_and_nothing_that_was_said(
    dino: Dino, write: Write, workspace: Path
) -> None:
    """Parameters, results, output and messages may hold anything."""
    write(
        """
        @skill
        def tell(word: str, fail: bool = False):
            print(word)
            if fail:
                raise ValueError(word)
            return word
        """
    )
    dino("run", "tell", "--word", CANARY)
    dino("run", "tell", "--word", CANARY, "--fail", code=1)
    for file in (workspace / "memory").rglob("*"):
        assert CANARY.encode() not in file.read_bytes()
    begun, ended, *_ = runs(workspace)
    assert len(begun["params_sha256"]) == len(begun["source_sha256"]) == 64
    assert ended["run_id"] == begun["run_id"]
    assert ended["output_bytes"] == len(CANARY) + 1
    assert begun["by"] == "tester@script"


def test_equal_input_and_output_have_equal_hashes(
    dino: Dino, write: Write, workspace: Path
) -> None:
    """So that whoever has the values can prove that they were these."""
    write("@skill\ndef same(a: int, b: int = 0): return {'x': a, 'y': b}\n")
    dino("run", "same", "--a", "1", "--b", "2")
    dino("run", "same", "--params", '{"b": 2, "a": 1}')
    dino("run", "same", "--a", "2")
    first, second, third = (r for r in runs(workspace) if r["event_type"] == "run_started")
    assert first["params_sha256"] == second["params_sha256"] != third["params_sha256"]
    ends = [r["result_sha256"] for r in runs(workspace) if r["event_type"] == "run_finished"]
    assert ends[0] == ends[1] != ends[2]


def test_a_skill_that_is_changed_has_another_hash(
    dino: Dino, write: Write, workspace: Path
) -> None:
    write("@skill\ndef f(): return 1\n")
    dino("run", "f")
    write("@skill\ndef f(): return 2\n")
    assert dino("run", "f").out == "2\n"
    one, other = (r for r in runs(workspace) if r["event_type"] == "run_started")
    assert one["source_sha256"] != other["source_sha256"]
