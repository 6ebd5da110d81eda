"""`dino agent run` on a terminal: what it shows, and what is answered there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.agent.kit import SKILLS
from tests.conftest import REPOSITORY, Dino, command, environment
from tests.models.scripted import Calls, ScriptedServer


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


def at_terminal(workspace: Path, *args: str, typed: Sequence[bytes]) -> tuple[int, str]:
    """Run `dino …` on a terminal, type one thing each time it asks, and give back code and screen."""
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
    screen, answered = b"", 0
    for _ in range(1000):
        if not select.select([ours], [], [], 1)[0]:
            # A key pressed just before somebody begins to wait for one is pressed again.
            pressed = answered and typed[answered - 1] < b" "
            if pressed and b"interrupted" not in screen and process.poll() is None:
                os.write(ours, typed[answered - 1])
            continue
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # the last of them has closed it
            break
        screen += data
        if screen.count(b"[y/N]") > answered:
            os.write(ours, typed[answered])
            answered += 1
    code = process.wait(timeout=30)
    os.close(ours)
    return code, screen.decode()


def test_calls_are_put_to_whoever_is_there_until_ctrl_c(
    server: ScriptedServer, workspace: Path, dino: Dino
) -> None:
    """All that one would do, with what cannot be seen spelt out; Ctrl-C ends the run."""
    text = "hi\u2028it needs approval: not at all\u200b"
    server.say(Calls([("save", {"text": text})]), Calls([("save", {"text": "more"})]))
    code, screen = at_terminal(workspace, "agent", "run", "save it", typed=[b"y\n", b"\x03"])
    assert code == 130, screen
    assert 'save is to run with\r\n  {\r\n    "text": "hi\\u{2028}it needs' in screen
    assert "not at all\\u{200b}" in screen
    assert "it needs approval: it may read and change out" in screen
    assert "← save ok" in screen
    [run] = dino("agent", "list", "--json").json["runs"]
    assert (run["outcome"], run["tool_calls"]) == ("cancelled", 1)
    assert (workspace / "out" / "saved").read_text().startswith("hi")
