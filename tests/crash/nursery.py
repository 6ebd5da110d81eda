"""Real processes by the hundred: started, stopped, killed, and what each said before it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


class Life:
    """A process that does one function of `programs/`."""

    def __init__(self, nursery: Nursery, pid: int, said: Path, name: str) -> None:
        self.pid = pid
        self.name = name
        self._nursery = nursery
        self._said = said

    def kill(self) -> None:
        """End it without any chance to tidy up."""
        os.kill(self.pid, signal.SIGKILL)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Its exit code, or the signal that ended it as a negative number."""
        return os.waitstatus_to_exitcode(self._nursery.ask(wait=self.pid))

    def wait_until_it_speaks(self) -> None:
        while not self.said:
            time.sleep(0.001)

    @property
    def said(self) -> list[dict[str, Any]]:
        text = self._said.read_text() if self._said.exists() else ""
        # A line that was cut off is no acknowledgement.
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]


class Nursery:
    """The program of that name; see there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "programs" / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
                "USER": "tester",
            },
        )

    def ask(self, **question: object) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(
        self, module: str, function: str, *args: object, name: str = "", stopped: bool = False
    ) -> Life:
        self._count += 1
        said = self._folder / f"said-{self._count}"
        call = [f"tests.crash.programs.{module}", function, *map(str, args)]
        return Life(self, self.ask(life=call, said=str(said), stopped=stopped), said, name)

    def close(self) -> None:
        """End it and whatever it started that still lives."""
        self._process.communicate()
        assert self._process.returncode == 0
