"""`dino agent run` on a terminal: what it shows, and what is answered there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.kit import SKILLS
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.models.scripted import Calls, ScriptedServer, Text

At = Callable[..., tuple[int, str]]


@pytest.fixture
def server(workspace: Path, dino: Dino) -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        (workspace / "config.yaml").write_text(
            f"llm:\n  providers:\n    - {{name: here, base_url: '{server.url}', model: m}}\n"
        )
        (workspace / "skills" / "mine.py").write_text(f"from dino_os import skill\n{SKILLS}")
        (workspace / "out").mkdir()
        dino("grant", "save")
        yield server


def at_terminal(workspace: Path, *args: str, typed: bytes) -> tuple[int, str]:
    """Run `dino …` on a terminal, type something once it asks, and give back code and screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*args),
        cwd=workspace,
        env=environment(PYTHONPATH=str(REPOSITORY), TERM="dumb", NO_COLOR="1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # So that Ctrl-C reaches it; there are no threads here but the server's.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(theirs)
    screen, answered = b"", False
    for _ in range(1000):
        if not select.select([ours], [], [], 1)[0]:
            if answered and typed < b" " and process.poll() is None:  # pressed too early
                os.write(ours, typed)
            continue
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # the last of them has closed it
            break
        screen += data
        if b"[n]" in screen and not answered:
            os.write(ours, typed)
            answered = True
    code = process.wait(timeout=30)
    os.close(ours)
    return code, screen.decode()


def test_a_call_is_put_to_whoever_is_there(server: ScriptedServer, workspace: Path) -> None:
    """All that it would do, with what cannot be seen spelt out."""
    text = "hi\u2028it needs approval: not at all\u200b"
    server.say(Calls([("save", {"text": text})]), Text("It is saved."))
    code, screen = at_terminal(workspace, "agent", "run", "save it", typed=b"y\n")
    assert code == 0, screen
    assert 'save is to run with\r\n  {\r\n    "text": "hi\\u{2028}it needs' in screen
    assert "not at all\\u{200b}" in screen
    assert "it needs approval: it may read and change out" in screen
    assert "It is saved." in screen
    assert (workspace / "out" / "saved").exists()


def test_ctrl_c_at_the_question_ends_the_run(
    server: ScriptedServer, workspace: Path, dino: Dino
) -> None:
    server.say(Calls([("save", {"text": "hi"})]), Text("It is saved."))
    code, screen = at_terminal(workspace, "agent", "run", "save it", typed=b"\x03")
    assert code == 130, screen
    assert dino("agent", "list", "--json").json["runs"][0]["outcome"] == "cancelled"
    assert not (workspace / "out" / "saved").exists()
