"""`dino bus`: said and heard across processes, from a shell."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os.message_bus import MessageBus
from dino_os.message_bus.duty import BusDuty
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.resource_engine.kit import until
from tests.skills.conftest import Write, write

__all__ = ["write"]
Start = Callable[..., subprocess.Popen[str]]


def lines(process: subprocess.Popen[str], count: int) -> list[Any]:
    assert process.stdout
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def listening(workspace: Path, subject: str) -> None:
    """Wait until a durable subscription or a group is there."""
    part = Workspace(workspace).bus
    until(lambda: any(one["members"] for one in part.subscriptions()), f"a listener to {subject}")


# --- saying, and what was said -------------------------------------------------------------------


def test_what_was_published_is_history(dino: Dino) -> None:
    assert dino("bus", "history", "a.>").out == "nothing was said there\n"
    assert dino("bus", "channels").out == "nothing was ever said here\n"
    said = dino("bus", "publish", "a.b", '{"n": 1}', "--id", "x", "--header", "by=me=you")
    assert said.out == "said on a.b\n"
    dino("bus", "publish", "a.b", '{"n": 2}', "--id", "x")
    dino("bus", "publish", "a.c", '"text"')
    found = dino("bus", "history", "a.>", "--json").json
    assert [(m["channel"], m["message"]) for m in found["messages"]] == [
        ("a.b", {"n": 1}),
        ("a.c", "text"),
    ]
    assert (found["messages"][0]["id"], found["messages"][0]["headers"]) == ("x", {"by": "me=you"})
    assert dino("bus", "history", "a.b", "--since", "1h").out.endswith('Z  a.b  {"n": 1}\n')
    assert dino("bus", "history", "a.b", "--since", "2100-01-01", "--json").json["messages"] == []
    assert len(dino("bus", "history", "a.*", "--limit", "1", "--json").json["messages"]) == 1
    assert dino("bus", "channels", "--json").json == {"channels": ["a.b", "a.c"]}


def test_standard_input_is_a_message_or_many(workspace: Path, dino: Dino) -> None:
    def say(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("bus", "publish", "a", *arguments),
            cwd=workspace,
            env=environment(PYTHONPATH=str(REPOSITORY)),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    assert say('{"from":\n "stdin"}').stdout == "said on a\n"
    many = say("".join(f"{n}\n" for n in range(1500)) + "\n", "--lines", "--json")
    assert json.loads(many.stdout) == {"published": 1500}
    bad = say('1\n{"a"\n', "--lines")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "line 2 is not JSON" in bad.stderr
    assert "; 1 message said" in bad.stderr
    found = dino("bus", "history", "a", "--limit", "2000", "--json").json["messages"]
    assert [m["message"] for m in found] == [{"from": "stdin"}, *range(1500), 1]


def test_lines_are_said_as_they_come(workspace: Path) -> None:
    """Nobody waits for more of them, or for the end."""
    process = subprocess.Popen(
        command("bus", "publish", "a", "--lines"),
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    bus = Workspace(workspace).bus
    try:
        for number in range(3):
            process.stdin.write(b"%d\n" % number)
            process.stdin.flush()
            until(lambda: len(bus.channel_history("a")) == number + 1, "a message")  # noqa: B023
    finally:
        out, _ = process.communicate()
    assert out == b"3 messages said on a\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("publish", "a", "{no"), "the message is not JSON"),
        (("publish", "a.*", "1"), "kept for wildcards"),
        (("publish", "a", "1", "--header", "x"), "--header: expected K=V, found 'x'"),
        (("publish", "a", "1", "--lines"), "--lines takes its messages from standard input"),
        (("publish", "a", "1", "--header", "k=1", "--header", "k=2"), "'k' is there twice"),
        (("history", "a.>.b"), "> stands for the rest"),
        (("listen", "a.b*"), "a wildcard is a whole token"),
        (("listen", "a", "--start", "all"), "--start goes with --durable or --group"),
        (("listen", "a", "--durable", "b", "--start", "never"), "neither a time"),
        (("listen", "a", "--durable", "b", "--start", "9"), "there is no message 9"),
        (("redeliver", "nobody", "--all"), "no subscription 'nobody'"),
        (("redeliver", "nobody"), "name messages, or --all"),
        (("forget", "nobody"), "no subscription 'nobody'"),
        (("dead", "nobody"), "no subscription 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_refused(dino: Dino, arguments: tuple[str, ...], told: str) -> None:
    assert told in dino("bus", *arguments, code=2).err


def test_what_was_said_before_is_not_said_to_be_said(dino: Dino) -> None:
    assert dino("bus", "publish", "a", "1", "--id", "x").out == "said on a\n"
    assert dino("bus", "publish", "a", "1", "--id", "x").out == (
        "'x' was said on a before: not again\n"
    )
    assert dino("bus", "publish", "a", "1", "--id", "x", "--json").json["published"] == 0


# --- hearing -------------------------------------------------------------------------------------


def test_a_listener_prints_what_others_say_in_order(
    workspace: Path, dino: Dino, started: Start
) -> None:
    """And ends after as many as it was told to."""
    process = started("bus", "listen", "a.*", "--json", "--limit", "30", "--group", "g")
    listening(workspace, "a.*")
    bus = Workspace(workspace).bus
    for number in range(0, 40, 2):
        bus.publish_many([("a.b", number), ("b", -1), ("a.c", number + 1)])
    found = lines(process, 30)
    assert [one["message"] for one in found] == [*range(30)]
    assert [one["channel"] for one in found[:2]] == ["a.b", "a.c"]
    assert process.wait(30) == 0


def test_a_plain_listener_hears_too(workspace: Path, started: Start) -> None:
    process = started("bus", "listen", "a", "--limit", "1")
    bus = Workspace(workspace).bus

    def heard() -> bool:
        bus.publish("a", {"n": 1})
        return process.poll() is not None

    until(heard, "the listener's end")
    assert process.stdout
    assert process.stdout.read().endswith('Z  a  {"n": 1}\n')


def test_a_durable_listener_goes_on_where_it_was(
    workspace: Path, dino: Dino, started: Start
) -> None:
    """What it did not print it has not heard, also where it was killed."""
    bus = Workspace(workspace).bus
    bus.publish_many([("a", number) for number in range(4)])
    more = ("--durable", "d", "--start", "all", "--json")
    process = started("bus", "listen", "a", *more, "--limit", "2")
    assert [one["message"] for one in lines(process, 2)] == [0, 1]
    assert process.wait(30) == 0
    process = started("bus", "listen", "a", *more)
    assert [one["message"] for one in lines(process, 2)] == [2, 3]
    until(lambda: bus.subscriptions()[0]["acknowledged"] == 4, "what was printed on record")
    process.kill()
    process.wait()
    bus.publish("a", 4)
    shown = dino("bus", "subscriptions", "--json").json["subscriptions"]
    assert [(one["name"], one["backlog"], one["state"]) for one in shown] == [("d", 1, "idle")]
    found = dino("bus", "listen", "a", "--durable", "d", "--limit", "1", "--json")
    assert found.json["message"] == 4
    assert dino("bus", "forget", "d").out == "forgotten: d\n"
    assert dino("bus", "subscriptions").out == "nobody subscribed durably\n"


# --- asking --------------------------------------------------------------------------------------


def test_a_request_is_answered_by_another_process(dino: Dino, home: Path) -> None:
    bus = MessageBus()
    bus.respond("double", lambda n: 2 * n)
    try:
        assert dino("bus", "request", "double", "21", "--timeout", "30s").out == "42\n"
    finally:
        bus.close()
    late = dino("bus", "request", "double", "1", "--timeout", "0.1s", code=124)
    assert "nobody answered within 0.1 s" in late.err


# --- skills and what was given up ----------------------------------------------------------------


def test_a_skills_subscription_from_its_beginning_to_its_end(
    dino: Dino, write: Write, home: Path
) -> None:
    """Not begun, idle, with a dead letter, orphaned, forgotten."""

    def state() -> list[tuple[str, int]]:
        found = dino("bus", "status", "--json").json["subscriptions"]
        return [(one["state"], one["dead_letters"]) for one in found]

    file = write("@skill(on='a.*')\ndef f(n: int): ...\n")
    assert state() == [("not begun", 0)]
    assert "no service runs, so no skill hears anything" in dino("bus").out
    dino("scheduler", "tick")
    MessageBus().publish("a.b", "no number")
    dino("scheduler", "tick")
    assert state() == [("idle", 1)]
    (letter,) = dino("bus", "dead", "skill:f", "--json").json["dead"]
    assert (letter["message"], letter["channel"]) == ("no number", "a.b")
    assert "expected int, found 'no number'" in dino("bus", "dead").out
    told = dino("bus", "redeliver", "skill:f", str(letter["seq"]), "999").out
    assert told == "1 message will be delivered again\n999: no dead letter\n"
    dino("scheduler", "tick")
    assert dino("bus", "redeliver", "skill:f", "--all", "--json").json["unknown"] == []
    file.unlink()
    assert state() == [("orphaned", 0)]
    assert "orphaned" in dino("bus", "subscriptions").out
    assert dino("bus", "forget", "skill:f").out.startswith("forgotten: skill:f:")
    assert state() == []


def test_names_are_completed(dino: Dino, write: Write, home: Path) -> None:
    write("@skill(on='a.*')\ndef f(n: int): ...\n")
    BusDuty(Workspace(home)).turn()
    MessageBus().publish("orders.7", 1)

    def completed(line: str) -> str:
        env = {"_DINO_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "3"}
        return dino(env=env, code=None).out

    assert "skill:f:" in completed("dino bus forget sk")
    assert "orders.7" in completed("dino bus publish or")


def test_whoever_reads_may_go(workspace: Path, started: Start) -> None:
    """A pipe that is closed ends the listener; what it could not print was not heard."""
    process = started("bus", "listen", "a", "--durable", "d", "--json")
    listening(workspace, "a")
    bus = Workspace(workspace).bus
    bus.publish("a", 1)
    assert lines(process, 1)[0]["message"] == 1
    assert process.stdout
    process.stdout.close()
    bus.publish_many([("a", 2), ("a", 3)])
    process.wait(30)
    (left,) = bus.subscriptions()
    assert (left["acknowledged"], left["backlog"]) == (1, 2)


def test_a_listener_can_be_interrupted_at_any_time(workspace: Path, started: Start) -> None:
    process = started("bus", "listen", "a")
    bus = Workspace(workspace).bus

    def heard() -> bool:
        bus.publish("a", 1)
        assert process.stdout
        return bool(select.select([process.stdout], [], [], 0)[0])

    until(heard, "a line")
    process.send_signal(signal.SIGINT)
    for _ in range(20):
        bus.publish("a", 2)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count("\n")) == (130, 1)
