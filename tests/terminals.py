"""`dino` on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import REPOSITORY, command, environment


def at_terminal(workspace: Path, *args: object, typed: Sequence[bytes]) -> tuple[int, str]:
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
        # So that Ctrl-C reaches it; there are no threads here but servers'.
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
        if screen.count(b"[y/N]") > answered < len(typed):
            os.write(ours, typed[answered])
            answered += 1
    code = process.wait(timeout=30)
    os.close(ours)  # not before: its last process would be hung up
    return code, screen.decode()
