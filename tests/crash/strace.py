"""
System calls listed, made to fail, and made deadly, by strace; the process is another's as it is.

It is attached to where it has stopped itself, so nothing but the subject is looked at.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.crash.nursery import Life

# Memory is no file; `writev` is the test's own voice.  Whether a file is a terminal (`ioctl`) is
# asked of no journal's sake, and its error is the usual answer.
_LEFT_OUT = {"mmap", "writev", "ioctl"}
_content = re.compile(r'(?<=, )"(?:\\.|[^"\\])*"\.*(?=, \d)')
_code = re.compile(r"[^<\"]*\.py\b")
_number = re.compile(r"\d+\w*")
_call = re.compile(r"(?P<name>\w+)\((?P<args>.*)\) += ").match


class Call(NamedTuple):
    """The system call of that name that is made for the *number*th time."""

    name: str
    number: int
    text: str

    @property
    def kind(self) -> str:
        """What is asked, and of which file: without numbers, contents, and names of our own code."""
        asked = self.text.rpartition(" = ")[0]
        return _number.sub("#", _code.sub("CODE", _content.sub("…", asked)))


@cache
def why_not() -> str:
    """Why nothing can be traced here, or "" where it can."""
    if not sys.platform.startswith("linux") or not shutil.which("strace"):
        return "there is no strace"
    tried = subprocess.run(
        ["strace", "-qq", "-e", "inject=close:error=EIO:when=500", "true"],
        capture_output=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"strace is not permitted: {tried.stderr.decode()}"


def calls_of(life: Life, log: Path) -> list[Call]:
    """Let *life*, which has stopped, go on to its end; list what it asks of files on the way."""
    assert _watch(life, log, "-y", "-e", "trace=%file,%desc") == 0
    return list(_numbered(log.read_text()))


def inject(life: Life, log: Path, call: Call, fault: str) -> int:
    """Let *life* go on and meet a *fault* at that call; return how it ended."""
    code = _watch(
        life,
        log,
        "-e",
        f"trace={call.name}",
        "-e",
        f"inject={call.name}:{fault}:when={call.number}",
    )
    assert code == -9 if "signal" in fault else "(INJECTED)" in log.read_text(), call
    return code


def _watch(life: Life, log: Path, *options: str) -> int:
    command = ["strace", "-e", "signal=none", *options, "-o", str(log), "-p", str(life.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as watcher:
        assert watcher.stderr
        attached = watcher.stderr.readline()
        life.go_on()
        code = life.wait()
        assert b"attached" in attached, attached
    return code


def _numbered(log: str) -> Iterator[Call]:
    count: Counter[str] = Counter()
    for line in log.splitlines():
        found = _call(line)
        if not found or found["name"] in _LEFT_OUT:
            continue
        assert ".pyc" not in line, f"the nursery lacks what is imported here: {line}"
        count[found["name"]] += 1
        yield Call(found["name"], count[found["name"]], line)
